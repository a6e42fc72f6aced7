// wsify under k6, with k6's own summary: CONNECTIONS members of one channel, and a backend
// that publishes RATE times a second for DURATION. The run fails when a connection is refused,
// when a member misses a publication or gets it twice, or when p(99) is above P99 ms. A delivery
// is timed from when its publication was due.
//
//   k6 run -e ADDR=127.0.0.1:3000 -e KEY=dev bench/k6/wsify.js
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';
import { setTimeout } from 'k6/timers';

const { ADDR = '127.0.0.1:3000', KEY = 'dev' } = __ENV;
const [CONNECTIONS, RATE, SECONDS, P99] = [__ENV.CONNECTIONS || 100, __ENV.RATE || 20, __ENV.DURATION || 10, __ENV.P99 || 500].map(Number);
const VUS = Math.min(4, CONNECTIONS);
const JOINING = 3000; // ms until all have to be members
const COUNT = RATE * SECONDS;

const delivery = new Trend('delivery_time', true);
const heard = new Counter('deliveries');
const wrong = new Counter('missing_or_twice');
const refused = new Counter('refused');

export const options = {
  scenarios: {
    members: { executor: 'per-vu-iterations', exec: 'members', vus: VUS, iterations: 1, maxDuration: `${SECONDS + 20}s` },
    backend: { executor: 'constant-arrival-rate', exec: 'backend', rate: RATE, duration: `${SECONDS}s`, preAllocatedVUs: 10, startTime: `${JOINING}ms` },
  },
  thresholds: { deliveries: [`count==${COUNT * CONNECTIONS}`], missing_or_twice: ['count==0'], refused: ['count==0'], delivery_time: [`p(99)<${P99}`] },
};

export function members() {
  const mine = Math.floor(CONNECTIONS / VUS) + (__VU <= CONNECTIONS % VUS ? 1 : 0);
  for (let i = 0; i < mine; i++) {
    const seen = {};
    let distinct = 0;
    const ws = new WebSocket(`ws://${ADDR}/ws`);
    ws.onopen = () => ws.send('{"command":"join","args":{"channel":"k6"}}');
    ws.onerror = () => refused.add(1);
    ws.onmessage = ({ data }) => {
      const { n, at } = JSON.parse(data);
      if (seen[n]) wrong.add(1);
      else distinct++;
      seen[n] = true;
      heard.add(1);
      delivery.add(Date.now() - at);
    };
    setTimeout(() => {
      if (distinct !== COUNT) wrong.add(Math.abs(COUNT - distinct));
      ws.close();
    }, JOINING + SECONDS * 1000 + 5000);
  }
  wrong.add(0);
  refused.add(0);
}

export function backend() {
  const n = exec.scenario.iterationInTest;
  if (n >= COUNT) return; // the executor may begin one more in the last instant
  const body = JSON.stringify({ channel: 'k6', content: { n, at: Date.now() } });
  const answer = http.post(`http://${ADDR}/broadcast?key=${KEY}`, body, { headers: { 'Content-Type': 'application/json' } });
  if (!check(answer, { published: (r) => r.status === 201 })) refused.add(1);
}
