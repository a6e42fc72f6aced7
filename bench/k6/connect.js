// Connections that upgrade and close, RATE of them a second.
//
// The constant-arrival-rate executor starts each when it is due, whether or not those
// before it are done, so a server that stalls is not asked less (no coordinated
// omission). What k6 could not start for want of a free VU it counts as dropped.
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { duration, number, whole } from './lib/settings.js';
import { limits, TREND, UPGRADED } from './lib/limits.js';
import { close, open } from './lib/client.js';
import { report } from './lib/report.js';

const RATE = number('RATE', 100);
const DURATION = duration('DURATION', '10s');
const VUS = whole('VUS', 50);
const PATIENCE = 5000; // ms until a connection that is not done counts as failed

const upgraded = new Counter('upgraded');
const refused = new Counter('refused');

export const options = {
  scenarios: {
    connect: {
      executor: 'constant-arrival-rate',
      rate: Math.round(RATE * 60),
      timeUnit: '1m',
      duration: `${DURATION}ms`,
      preAllocatedVUs: VUS,
      gracefulStop: '10s',
    },
  },
  summaryTrendStats: TREND,
  thresholds: limits(UPGRADED, { refused: 0 }, [UPGRADED]),
};

export default function () {
  const impatience = setTimeout(() => done({ 'the connection is opened and closed in time': false }), PATIENCE);
  const socket = open({
    opened() {
      upgraded.add(1);
      close(socket);
    },
    closed(wasOpen) {
      clearTimeout(impatience);
      if (!wasOpen) refused.add(1);
      done({ 'the server upgrades': wasOpen });
    },
  });
}

function done(result) {
  check(result, Object.fromEntries(Object.keys(result).map((name) => [name, (r) => r[name]])));
}

export function handleSummary(data) {
  return report(data, 'connect', { rate: RATE, seconds: DURATION / 1000, vus: VUS }, [
    ['handshakes', 'total', 'upgraded', 'count'],
    ['handshakes', '1/s', 'upgraded', 'rate'],
    ['handshake p50', 'ms', UPGRADED, 'med'],
    ['handshake p99', 'ms', UPGRADED, 'p(99)'],
    ['handshake p99.9', 'ms', UPGRADED, 'p(99.9)'],
    ['handshake max', 'ms', UPGRADED, 'max'],
    ['refused', 'total', 'refused', 'count'],
    ['not started: k6 had no free VU', 'total', 'dropped_iterations', 'count'],
  ]);
}
