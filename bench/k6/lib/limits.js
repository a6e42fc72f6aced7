import { text } from './settings.js';

// What every script's summary holds of a Trend.
export const TREND = ['count', 'min', 'med', 'p(99)', 'p(99.9)', 'max'];

// The time of those handshakes that succeeded.
export const UPGRADED = 'ws_connecting{status:101}';

export const ALWAYS = 'max>=0';

const LATENCY = { MAX_P50_MS: 'med', MAX_P99_MS: 'p(99)', MAX_P999_MS: 'p(99.9)', MAX_MS: 'max' };

// limits returns the thresholds of a script. Correctness has no tolerance: of the
// metrics in exactly, each has to count exactly that, and every check has to pass.
// How fast is fast enough only the user knows: a limit on the trend exists
// when MAX_P50_MS, MAX_P99_MS, MAX_P999_MS or MAX_MS is set.
//
// Each trend in shown gets a condition that is always true, since a part of a metric,
// such as name{tag:value}, is in the summary only when a threshold names it.
export function limits(trend, exactly, shown = []) {
  const all = { checks: ['rate==1'] };
  shown.forEach((part) => {
    all[part] = [ALWAYS];
  });
  for (const [metric, count] of Object.entries(exactly)) {
    all[metric] = [`count==${count}`];
  }
  const latency = Object.entries(LATENCY).filter(([name]) => text(name, '') !== '');
  if (latency.length > 0) {
    all[trend] = latency.map(([name, statistic]) => `${statistic}<=${Number(text(name))}`);
  }
  return all;
}
