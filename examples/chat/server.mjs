// A chat: its pages, its login, and the webhook that wsify asks.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';

const names = new Map(); // by cookie
const here = new Map(); // names, by connection
const file = (path) => readFileSync(new URL(path, import.meta.url));
const nameOf = (cookie) => names.get(cookie?.match(/\bchat=([^;]+)/)?.[1]);

// Who is here is kept by the channel, so that whoever joins gets the last list.
const tellWhoIsHere = () => fetch('http://localhost:3000/broadcast?key=dev', {
  method: 'POST', headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ channel: 'here', content: [...new Set(here.values())].sort() }),
}).catch(console.error);

// wsify asks whether a connection may do something, and tells which have ended.
function webhook({ command, args, events }, headers) {
  if (events) {
    for (const { connection } of events) here.delete(connection);
    return void tellWhoIsHere() ?? [200];
  }
  if (command === 'connect') {
    const name = nameOf(args.headers.Cookie?.[0]);
    return name ? [200, { 'X-Wsify-User': encodeURIComponent(name), 'X-Wsify-Join': 'typing' }] : [403];
  }
  if (command === 'join' && headers['x-wsify-channel'] === 'here') {
    here.set(headers['x-wsify-connection'], decodeURIComponent(headers['x-wsify-user']));
    tellWhoIsHere();
    return [200];
  }
  const publishes = command === 'broadcast' && typeof args.content === 'string' && args.content.length < 1000;
  return /^(typing|room%3A\w+)$/.test(headers['x-wsify-channel']) && (publishes || command === 'join') ? [200] : [403];
}

http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const answer = (status, headers, text) => response.writeHead(status, headers).end(text);
  switch (`${request.method} ${request.url}`) {
    case 'POST /wsify':
      return answer(...webhook(JSON.parse(body), request.headers));
    case 'POST /login': {
      const name = new URLSearchParams(body).get('name')?.trim().slice(0, 40), cookie = randomUUID();
      if (!name || [...names.values()].includes(name)) return answer(409, {}, 'Somebody has this name.');
      names.set(cookie, name);
      return answer(303, { Location: '/', 'Set-Cookie': `chat=${cookie}; HttpOnly; SameSite=Lax` });
    }
    case 'GET /wsify.js':
      return answer(200, { 'Content-Type': 'text/javascript' }, file('../../clients/js/wsify.js'));
    case 'GET /':
      return answer(200, { 'Content-Type': 'text/html; charset=utf-8' }, nameOf(request.headers.cookie) ? file('page.html')
        : '<!DOCTYPE html><title>Chat</title><form method="post" action="/login">Your name: <input name="name" autofocus> <button>Enter</button></form>');
    case 'GET /favicon.ico':
      return answer(204);
    default:
      return answer(404);
  }
}).listen(8000, 'localhost');
