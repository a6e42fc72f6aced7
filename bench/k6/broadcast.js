// CONNECTIONS members of one channel; publishers by POST /broadcast and by command,
// each RATE publications a second for DURATION.
//
// When a publication is due is fixed beforehand: the n-th of a publisher at
// begin + n / RATE. That moment travels in the content, and a delivery is timed from
// it: what is sent late, because k6 or the server stalled, counts with
// its lateness (no coordinated omission). A publisher never waits for an answer.
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { duration, number, whole } from './lib/settings.js';
import { limits, TREND } from './lib/limits.js';
import { share } from './lib/client.js';
import { Member } from './lib/member.js';
import { publishByCommand, publishByPost } from './lib/publish.js';
import { report } from './lib/report.js';

const CONNECTIONS = whole('CONNECTIONS', 100);
const RATE = number('RATE', 20, 0.1);
const DURATION = duration('DURATION', '10s');
const RAMP = duration('RAMP', '3s'); // all members have to have joined by then
const SIZE = whole('SIZE', 128, 64); // bytes of content
const POSTERS = whole('POSTERS', 1, 0);
const COMMANDERS = whole('COMMANDERS', 1, 0);
const VUS = Math.min(whole('VUS', 4), CONNECTIONS);
const PATIENCE = 5000; // ms after the last publication is due

const EACH = Math.max(1, Math.round((RATE * DURATION) / 1000));
const PUBLISHERS = POSTERS + COMMANDERS;
const WHOLE = RAMP + DURATION + 2 * PATIENCE;
if (PUBLISHERS === 0) throw new Error('POSTERS and COMMANDERS are both 0: nobody publishes');

const count = {
  publications: new Counter('publications'), // that the server took
  deliveries: new Counter('deliveries'), // the first of each publication to each member
  refused: new Counter('refused'), // connections and publications
  missing: new Counter('missing'),
  repeated: new Counter('repeated'),
  misordered: new Counter('misordered'),
};
const time = {
  delivery: new Trend('delivery_time', true),
  lateness: new Trend('lateness', true), // of k6, in sending
};

function vus(name, n) {
  const scenario = { executor: 'per-vu-iterations', exec: name, vus: n, iterations: 1, maxDuration: `${WHOLE}ms`, gracefulStop: '1s' };
  return n > 0 ? { [name]: scenario } : {};
}

export const options = {
  scenarios: { ...vus('members', VUS), ...vus('posters', POSTERS), ...vus('commanders', COMMANDERS) },
  summaryTrendStats: TREND,
  thresholds: limits(
    'delivery_time',
    {
      publications: PUBLISHERS * EACH,
      deliveries: PUBLISHERS * EACH * CONNECTIONS,
      refused: 0,
      missing: 0,
      repeated: 0,
      misordered: 0,
    },
    ['delivery_time{via:post}', 'delivery_time{via:command}'],
  ),
};

// setup fixes the schedule.
export function setup() {
  return { begin: Date.now() + RAMP, channel: `k6-${Date.now()}` };
}

const plan = ({ begin, channel }) => ({ begin, channel, each: EACH, every: 1000 / RATE, size: SIZE, posters: POSTERS, publishers: PUBLISHERS });

export function members(schedule) {
  const mine = share(CONNECTIONS, exec.scenario.iterationInTest, VUS);
  const all = [];
  mine.forEach((_, i) => {
    setTimeout(() => all.push(new Member(plan(schedule), count, time)), ((RAMP / 2) * i) / mine.length);
  });
  const deadline = schedule.begin + DURATION + PATIENCE;
  const end = () => {
    if (all.some((m) => !m.complete()) && Date.now() < deadline) {
      setTimeout(end, 100);
      return;
    }
    all.forEach((m) => {
      check(m, {
        'joined before the first publication (else raise RAMP)': (x) => x.joined,
        'every publication arrived': (x) => x.complete(),
      });
      m.close();
    });
  };
  setTimeout(end, schedule.begin + DURATION - Date.now());
}

export function posters(schedule) {
  publishByPost(plan(schedule), exec.scenario.iterationInTest, count, time);
}

export function commanders(schedule) {
  publishByCommand(plan(schedule), POSTERS + exec.scenario.iterationInTest, count, time);
}

export function handleSummary(data) {
  const load = {
    connections: CONNECTIONS, posters: POSTERS, commanders: COMMANDERS, rate: RATE, seconds: DURATION / 1000, size: SIZE, vus: VUS,
  };
  const latency = (name, metric) => [
    [`${name} p50`, 'ms', metric, 'med'],
    [`${name} p99`, 'ms', metric, 'p(99)'],
    [`${name} p99.9`, 'ms', metric, 'p(99.9)'],
    [`${name} max`, 'ms', metric, 'max'],
  ];
  return report(data, 'broadcast', load, [
    ['publications', 'total', 'publications', 'count'],
    ['deliveries', 'total', 'deliveries', 'count'],
    ...latency('due to delivered', 'delivery_time'),
    ...latency('  by POST', 'delivery_time{via:post}'),
    ...latency('  by command', 'delivery_time{via:command}'),
    ['of it k6 sending late p50', 'ms', 'lateness', 'med'],
    ['of it k6 sending late p99', 'ms', 'lateness', 'p(99)'],
    ['missing', 'total', 'missing', 'count'],
    ['refused', 'total', 'refused', 'count'],
  ]);
}
