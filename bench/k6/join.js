// CONNECTIONS connections come evenly over DURATION; each joins CHANNELS channels out of
// NAMES with an id as soon as it is open, and stays until the end.
//
// When a connection comes is fixed beforehand, so nothing waits for an answer
// before it asks (no coordinated omission). Answers are timed from the moment the
// connection was open, when all its joins are due at once.
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { duration, whole } from './lib/settings.js';
import { limits, TREND, UPGRADED } from './lib/limits.js';
import { close, open, send, share } from './lib/client.js';
import { report } from './lib/report.js';

const CONNECTIONS = whole('CONNECTIONS', 200);
const CHANNELS = whole('CHANNELS', 10);
const NAMES = whole('NAMES', 1000);
const DURATION = duration('DURATION', '10s');
const VUS = Math.min(whole('VUS', 4), CONNECTIONS);
const PATIENCE = 5000; // ms after the last connection came

const joined = new Counter('joined');
const refused = new Counter('refused');
const unexpected = new Counter('unexpected');
const answer = new Trend('join_time', true);

export const options = {
  scenarios: {
    join: {
      executor: 'per-vu-iterations',
      vus: VUS,
      iterations: 1,
      maxDuration: `${DURATION + 2 * PATIENCE}ms`,
      gracefulStop: '1s',
    },
  },
  summaryTrendStats: TREND,
  thresholds: limits('join_time', { joined: CONNECTIONS * CHANNELS, refused: 0, unexpected: 0 }, [UPGRADED]),
};

export default function () {
  const vu = exec.scenario.iterationInTest;
  const every = DURATION / CONNECTIONS;
  const sockets = [];
  for (const i of share(CONNECTIONS, vu, VUS)) {
    setTimeout(() => sockets.push(join(i)), i * every);
  }
  let checksLeft = Math.ceil(PATIENCE / 100);
  const end = () => {
    if (sockets.some((s) => s.waiting > 0) && --checksLeft > 0) {
      setTimeout(end, 100);
      return;
    }
    sockets.forEach(({ socket, waiting }) => {
      check(waiting, { 'every join is answered': (left) => left === 0 });
      close(socket);
    });
  };
  setTimeout(end, DURATION + 100);
}

// join opens connection i, and counts what it still waits for.
function join(i) {
  const ids = new Set();
  const state = { waiting: CHANNELS, socket: null };
  state.socket = open({
    opened(socket, at) {
      state.since = at;
      for (let c = 0; c < CHANNELS; c++) {
        ids.add(c);
        send(socket, 'join', { channel: `k6-join-${(i * CHANNELS + c) % NAMES}` }, c);
      }
    },
    received({ id, ok }, at) {
      if (!ids.delete(id)) {
        unexpected.add(1);
        return;
      }
      state.waiting--;
      answer.add(at - state.since);
      check(ok, { 'the join is allowed': (yes) => yes === true });
      if (ok === true) joined.add(1);
    },
    closed(wasOpen) {
      if (!wasOpen) refused.add(1);
    },
  });
  return state;
}

export function handleSummary(data) {
  const load = { connections: CONNECTIONS, channels: CHANNELS, names: NAMES, seconds: DURATION / 1000, vus: VUS };
  return report(data, 'join', load, [
    ['joined', 'total', 'joined', 'count'],
    ['joined', '1/s', 'joined', 'rate'],
    ['join to answer p50', 'ms', 'join_time', 'med'],
    ['join to answer p99', 'ms', 'join_time', 'p(99)'],
    ['join to answer p99.9', 'ms', 'join_time', 'p(99.9)'],
    ['join to answer max', 'ms', 'join_time', 'max'],
    ['handshake p50', 'ms', UPGRADED, 'med'],
    ['handshake p99', 'ms', UPGRADED, 'p(99)'],
    ['refused', 'total', 'refused', 'count'],
  ]);
}
