// What goes wrong around clients/js in Node, told line by line; the test does it, and says so on stdin.
import { createInterface } from 'node:readline';
import { Wsify } from './wsify.js';

const say = (...values) => console.log(values.join(' '));
const hear = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
process.on('unhandledRejection', (error) => say('not handled:', error));

try { new Wsify('localhost:3000/ws'); } catch (error) { say(error.message); }

let closed = 0, ends = false;
const client = new Wsify('ws://localhost:3000/ws', {
  beat: 500, maxWait: undefined,
  token: () => { if (ends) say('token'); },
  onerror: (error) => say('error', error.message),
  onstate: (state, code) => {
    if (state === 'closed' && ++closed === 5) say('away');
    if (code === 1012) { ends = true; client.close(); }
  },
});
await client.join('news', { message: async ({ content }) => { say('first', content); throw new Error('of mine'); } });
await client.join('other');
await client.publish('nobody', 'x'.repeat(70_000)).catch((error) => say(error.code, error.message));
say('joined', JSON.stringify(await client.publish('nobody', 1, { members: true })));
await hear.next();
await client.join('news', { message: ({ content }) => say('second', content) });
say('joined again');

await hear.next(); // the network is silent
await client.leave('other');
say('left');

await hear.next(); // the network is pulled out, for long
closed = 0;
await hear.next();
const published = client.publish('nobody', 1);
say('waits');
await published;
say('published');
process.stdin.unref();
process.on('exit', () => say('ends'));
