// How long the client waits after a close code that comes again and again: the least and the most.
import { Wsify } from './wsify.js';

const waits = [], sockets = [];
globalThis.WebSocket = class {
  constructor() { sockets.push(this); }
  close() {}
};
globalThis.EventSource = undefined;
globalThis.setTimeout = (next, wait) => { waits.push(Math.round(wait)); queueMicrotask(next); };

async function least(code, chance) {
  Math.random = () => chance;
  waits.length = 0;
  const client = new Wsify('ws://localhost/ws', { token: () => 'secret' });
  while (waits.length < 7 && !client.closed) {
    await new Promise(setImmediate);
    sockets.splice(0).forEach((socket) => socket.onclose({ code, reason: '' }));
  }
  client.close();
  return [...waits];
}

for (const code of [1006, 1012, 1013, 4001, 4004, 4029, 4003, 1002, 1003, 1007, 1009]) {
  const from = await least(code, 0), to = await least(code, 1);
  console.log(`${code}: ${from.length ? from.map((wait, i) => `${wait} to ${to[i]}`).join(', ') : 'closed'}`);
}
process.exit();
