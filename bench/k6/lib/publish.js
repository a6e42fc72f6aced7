import http from 'k6/http';
import { check } from 'k6';
import { HTTP_URL, KEY } from './settings.js';
import { close, open, send } from './client.js';

const PATIENCE = 5000; // ms for the last answers

// onSchedule calls publish(n, due) for n from 0 to each-1 when it is due, or as soon
// after that as k6 gets to it, and done after the last. Date.now() knows whole
// milliseconds only, and so does the schedule; the last one is waited for
// in a loop, since a timer that was set in the middle of one fires in the middle of one.
function onSchedule(plan, time, publish, done = () => {}) {
  let n = 0;
  const next = () => {
    while (n < plan.each) {
      const due = Math.round(plan.begin + n * plan.every);
      const left = due - Date.now();
      if (left > 1) {
        setTimeout(next, left - 1);
        return;
      }
      let now = Date.now();
      while (now < due) now = Date.now();
      time.lateness.add(now - due);
      publish(n, due);
      n++;
    }
    done();
  };
  next();
}

// content returns what is published: who, which, when it was due, and padding to
// size bytes.
function content(plan, p, n, t) {
  const bare = JSON.stringify({ p, n, t, x: '' }).length;
  return { p, n, t, x: 'x'.repeat(Math.max(0, plan.size - bare)) };
}

const TAKEN = 'the publication is taken';

// publishByPost is publisher p, with POST /broadcast. Requests overlap when answers are slow.
export function publishByPost(plan, p, count, time) {
  const headers = { 'Content-Type': 'application/json' };
  if (KEY) headers.Authorization = `Bearer ${KEY}`;
  onSchedule(plan, time, (n, due) => {
    const body = JSON.stringify({ channel: plan.channel, content: content(plan, p, n, due) });
    http
      .asyncRequest('POST', HTTP_URL, body, { headers, timeout: '5s' })
      .then((answer) => taken(answer.status === 201, count), () => taken(false, count));
  });
}

// publishByCommand is publisher p, with broadcast commands on one connection.
export function publishByCommand(plan, p, count, time) {
  let waiting = plan.each;
  let impatience;
  const socket = open({
    opened() {
      const publish = (n, due) => {
        const sent = send(socket, 'broadcast', { channel: plan.channel, content: content(plan, p, n, due) }, n);
        if (!sent) taken(false, count);
      };
      onSchedule(plan, time, publish, () => {
        impatience = setTimeout(() => close(socket), PATIENCE);
      });
    },
    received({ ok }) {
      taken(ok === true, count);
      waiting--;
      if (waiting === 0) close(socket);
    },
    closed(wasOpen) {
      clearTimeout(impatience);
      if (!wasOpen) count.refused.add(1);
    },
  });
}

function taken(ok, count) {
  check(ok, { [TAKEN]: (yes) => yes });
  if (ok) count.publications.add(1);
  else count.refused.add(1);
}
