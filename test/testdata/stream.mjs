// What clients/js hears by server-sent events alone, where cookies say who it is.
import { Wsify } from './wsify.js';

document.cookie = 'who=ann';
const client = new Wsify('ws://localhost:3000/ws', { sse: true, maxWait: 500, onmessage: (m) => console.log('mine', m.channel, m.content) });
const handlers = { message: (m) => console.log('joined', m.channel, m.content), gap: () => console.log('gap') };
await Promise.all([client.join('news', handlers), client.join('old', handlers)]).catch(console.log);
console.log('listens');
