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

for (const code of [1006, 1012, 1013, 4001, 4004, 4029, 1009, 4003, 1002, 1003, 1007]) {
  const from = await least(code, 0), to = await least(code, 1);
  console.log(`${code}: ${from.length ? from.map((wait, i) => `${wait} to ${to[i]}`).join(', ') : 'closed'}`);
}

// A client without channels begins anew when the server has answered, and a stream when it was open.
const turn = () => new Promise(setImmediate);
Math.random = () => 1;
const lonely = new Wsify('ws://localhost/ws');
for (const answers of [false, false, true]) {
  await turn();
  const socket = sockets.pop();
  if (answers) socket.onmessage({ data: '{"type":"reply","id":0,"ok":false,"error":{"code":"bad_request","message":""}}' });
  socket.onclose({ code: 1006, reason: '' });
}
console.log('after an answer:', waits.at(-1));
lonely.close();

const streams = [];
globalThis.EventSource = class {
  constructor() { streams.push(this); }
  addEventListener(type, f) { this['on' + type] = f; }
  close() {}
};
const listener = new Wsify('ws://localhost/ws', { sse: true });
listener.join('news').catch(() => {});
for (const opens of [false, false, true]) {
  await turn();
  const stream = streams.pop();
  if (opens) stream.onopen({});
  stream.onerror();
}
console.log('after a stream:', waits.at(-1));
listener.close();

// What is told of a channel that the authorizer joins does not move the position of ours.
sockets.length = 0;
const joined = new Wsify('ws://localhost/ws', { onerror: (error) => console.log(error.code, error.channel) });
joined.join('news', { since: 'mine' }).catch(() => {});
await turn();
sockets[0].onmessage({ data: '{"type":"reply","channel":"news","ok":true,"position":"later"}' });
sockets[0].onclose({ code: 1006, reason: '' });
await turn();
const sent = [];
Object.assign(sockets[1], { readyState: 1, send: (text) => sent.push(JSON.parse(text)) });
sockets[1].onopen();
console.log('joins since', sent[0].args.since);

// A channel that is refused after a reconnect is told with its name.
sockets[1].onmessage({ data: JSON.stringify({ type: 'reply', id: sent[0].id, ok: true, position: 'next' }) });
await turn();
joined.join('news').catch(() => {}); // begins where the first one is
sockets[1].onclose({ code: 1006, reason: '' });
await turn();
Object.assign(sockets[2], { readyState: 1, send: (text) => sent.push(JSON.parse(text)) });
sockets[2].onopen();
console.log('joins since', sent.at(-1).args.since);
sockets[2].onmessage({ data: JSON.stringify({ type: 'reply', id: sent.at(-1).id, ok: true }) });
await turn();
sockets[2].onclose({ code: 1006, reason: '' });
await turn();
Object.assign(sockets[3], { readyState: 1, send: (text) => sent.push(JSON.parse(text)) });
sockets[3].onopen();
sockets[3].onmessage({ data: JSON.stringify({ type: 'reply', id: sent.at(-1).id, ok: false, error: { code: 'denied', message: 'no' } }) });
await turn();
process.exit();
