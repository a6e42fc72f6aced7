import { ALWAYS } from './limits.js';
import { text } from './settings.js';

// report returns what handleSummary has to: a table for the terminal and, when
// SUMMARY names a file, the same as JSON:
//
//	{"script", "load": {...}, "figures": [{"name", "unit", "value"}], "checks": {"passed", "failed"},
//	 "thresholds": {"metric: condition": true}, "passed": true}
//
// rows are [name, unit, metric, statistic]. What was never measured is left out.
export function report(data, script, load, rows) {
  const summary = {
    script,
    load,
    figures: rows.map((row) => figure(data, ...row)).filter((f) => f.value !== undefined),
    checks: checks(data),
    thresholds: thresholds(data),
  };
  summary.passed = Object.values(summary.thresholds).every((ok) => ok);
  const files = { stdout: table(summary) };
  if (text('SUMMARY', '')) {
    files[text('SUMMARY')] = `${JSON.stringify(summary)}\n`;
  }
  return files;
}

function figure(data, name, unit, metric, statistic) {
  const found = data.metrics[metric];
  return { name, unit, value: found && found.values.count !== 0 ? found.values[statistic] : undefined };
}

function checks(data) {
  const all = data.metrics.checks;
  return all ? { passed: all.values.passes, failed: all.values.fails } : { passed: 0, failed: 0 };
}

function thresholds(data) {
  const all = {};
  for (const [metric, { thresholds: conditions = {} }] of Object.entries(data.metrics)) {
    for (const [condition, { ok }] of Object.entries(conditions)) {
      if (condition !== ALWAYS) all[`${metric}: ${condition}`] = ok;
    }
  }
  return all;
}

function table({ script, load, figures, checks: { passed, failed }, thresholds: all, passed: good }) {
  const settings = Object.entries(load).map(([name, value]) => `${name} ${value}`);
  const lines = [`${script}: ${settings.join(', ')}`];
  for (const { name, unit, value } of figures) {
    lines.push(`  ${name.padEnd(34)} ${show(value).padStart(12)} ${unit}`);
  }
  lines.push(`  checks: ${passed} passed, ${failed} failed`);
  for (const [condition, ok] of Object.entries(all)) {
    if (!ok) lines.push(`  MISSED ${condition}`);
  }
  lines.push(good ? '  every threshold holds' : '  a threshold was missed: exit code 99');
  return `${lines.join('\n')}\n`;
}

function show(value) {
  return value.toFixed(Number.isInteger(value) ? 0 : 3);
}
