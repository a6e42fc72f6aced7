// What clients/js does, told line by line; the test pulls the network out, and does the rest.
import { Wsify } from './wsify.js';

const say = (...values) => console.log(values.map((v) => (typeof v === 'string' ? v : JSON.stringify(v))).join(' '));
const options = {
  token: () => { say('token'); return 'secret'; },
  onstate: (state, code) => say(state, code),
  onerror: (error) => say('error', error.code ?? String(error)),
  maxWait: 500,
};
const handlers = { message: (m) => say(m.channel, m.content), gap: () => say('gap') };

const client = new Wsify('ws://localhost:3000/ws', { ...options, onstate: async (state, code) => {
  say(state, code);
  if (!client.closed) return;
  await client.publish('news', 0).catch((error) => say('not published:', error.code));
  blocked();
} });
const waits = client.publish('nobody', 0, { members: true }); // until the client is connected
const { position } = await client.join('news', handlers);
say('joined', typeof position, (await waits).members);
await client.join('solo');
say('members', (await client.publish('solo', 1, { members: true })).members);
say('past', (await client.join('old', { ...handlers, last: 1 })).recovered ?? 'not asked');
await client.join(' ').catch((error) => say('refused', error.code));
await client.join('left', handlers);
await client.leave('left');
await client.publish('left', 0);
say('ready');

// The second part: WebSockets are blocked, until a WebSocket opens and the stream has ended.
async function blocked() {
  const listener = new Wsify('ws://localhost:3001/ws', { ...options, onstate: (state) => state === 'open' && say('unblocked'), token: undefined });
  await listener.join('news', handlers);
  say('listens');
  await listener.publish('news', 0).catch((error) => say('not published:', error.code));
}
