import { WebSocket } from 'k6/websockets';
import { WS_URL } from './settings.js';

// open connects. Handlers, all optional: opened(socket, at), received(value, at),
// closed(wasOpen). closed is called once, also when the connection was refused.
// at is the moment in milliseconds when k6 read it from the socket, with
// fractions, which Date.now() lacks; the time it then waited for this script is
// not in it.
export function open({ opened, received, closed }) {
  const socket = new WebSocket(WS_URL);
  let wasOpen = false;
  socket.onopen = (event) => {
    wasOpen = true;
    if (opened) opened(socket, event.timestamp);
  };
  socket.onmessage = (event) => {
    if (received) received(JSON.parse(event.data), event.timestamp);
  };
  socket.onerror = () => {}; // onclose follows
  socket.onclose = () => {
    if (closed) closed(wasOpen);
  };
  return socket;
}

const OPEN = 1;

// send sends one command, with an id that asks for an answer. It reports whether the
// connection was open.
export function send(socket, command, args, id) {
  const sendable = socket.readyState === OPEN;
  if (sendable) socket.send(JSON.stringify({ command, args, id }));
  return sendable;
}

// close ends an open connection. k6 waits without end in the close of one that is
// not open yet.
export function close(socket) {
  if (socket.readyState === OPEN) socket.close(1000);
}

// share returns which of count things are the work of one of several VUs: every
// VU's count is the same, but for one.
export function share(count, vu, vus) {
  const mine = [];
  for (let i = vu; i < count; i += vus) {
    mine.push(i);
  }
  return mine;
}
