// @ts-self-types="./wsify.d.ts"
// A client for wsify: many channels on one connection, which reconnects by itself and misses
// nothing where channels keep history. Where WebSockets are blocked, it listens by server-sent events.

/** What was refused, with a code of the server; or 'closed', 'limit' and 'lost' (the outcome is unknown). */
export class WsifyError extends Error {
  constructor(code, message = says[code]) { super(message); this.code = code; }
}

const final = [1002, 1003, 1007, 4003]; // a fault of this program; or an operator wants it so
const again = ['authorizer_down', 'broker_down']; // a join that failed with one of these is tried again
const blockedAfter = 3; // tries of a WebSocket, none of which has opened
const maxWaiting = 1000; // publications that wait for the connection
const says = { closed: 'the client is closed, or WebSockets are blocked', limit: 'too much waits for the connection', lost: 'the connection ended before the answer' };

/** wait returns the milliseconds until the next try, after a close code. */
function wait(code, tries, most) {
  if (code === 1012) return 1000 * Math.random(); // one node restarts, others are there
  const limit = Math.min(most, ({ 1013: 10_000, 4029: 2000 }[code] ?? 1000) * 2 ** tries);
  return code === 1013 || code === 4029 ? (limit / 2) * (1 + Math.random()) : limit * Math.random();
}

export class Wsify {
  closed = false;
  #channels = new Map(); // by name: its handlers, position, stream, and who waits for the join
  #asked = new Map(); // by id: who waits for the reply
  #id = 0; #run = 0; #tries = 0; #silent = 0;
  #unopened = 0; // WebSockets since the last one that has opened
  #blocked = false; // the last one has not opened, and a stream has
  #url; #options; #query; #socket; #beat; #timer;

  constructor(url, { maxWait = 30_000, beat = 15_000, ...options } = {}) {
    this.#url = new URL(url, globalThis.location?.href);
    if (!/^(ws|http)s?:$/.test(this.#url.protocol)) throw new SyntaxError(`${url} does not begin with ws:, wss:, http: or https:`);
    this.#options = { maxWait, beat, ...options };
    this.#connect();
  }

  join(channel, handlers = {}) {
    return new Promise((resolve, reject) => {
      const old = this.#forget(channel, new WsifyError('lost', 'joined again'));
      const c = { ...handlers, position: handlers.since ?? (handlers.last ? undefined : old?.position), tries: 0, resolve, reject };
      this.#channels.set(channel, c);
      if (this.closed) this.#forget(channel, new WsifyError('closed'));
      else if (this.#isOpen()) this.#join(channel, c, handlers.since);
      else if (this.#listens()) this.#listen(channel, c);
    });
  }

  async leave(channel) {
    this.#forget(channel, new WsifyError('lost', 'left'));
    if (this.#isOpen()) await this.#ask('leave', { channel }).catch((e) => { if (e.code !== 'lost') throw e; }); // lost is left
  }

  publish(channel, content, args) { return this.#ask('broadcast', { ...args, channel, content }).then(({ members }) => ({ members })); }
  close() { if (!this.closed) this.#finish(1000, ''); }
  #isOpen() { return this.#socket?.readyState === 1; }
  #listens() { return this.#options.sse ?? (this.#unopened > blockedAfter && typeof EventSource !== 'undefined'); }

  async #connect() {
    const run = ++this.#run, current = () => run === this.#run && !this.closed;
    let socket;
    try {
      const token = await this.#options.token?.();
      if (!current()) return;
      this.#query = [['token', token]]; this.#unopened++;
      if (this.#listens()) for (const [channel, c] of this.#channels) this.#listen(channel, c);
      if (this.#options.sse) return;
      socket = this.#socket = new WebSocket(this.#address('ws', []), 'wsify.v1');
    } catch (error) { // no token; or a page of https may not open ws:
      this.#call(this.#options.onerror, error);
      return current() && this.#retry(1013, String(error));
    }
    this.#silent = 0;
    this.#beat = setInterval(() => { // a network may end without a word
      if (!this.#isOpen() || this.#silent++ > 1) this.#retry(1006, 'silent');
      else socket.send('{"id":0}');
    }, this.#options.beat);
    socket.onopen = () => {
      if (!current()) return socket.close();
      this.#unopened = 0; this.#blocked = false;
      for (const [channel, c] of this.#channels) this.#join(channel, c, c.position);
      for (const a of this.#asked.values()) if (!a.sent) this.#send(a);
      this.#call(this.#options.onstate, 'open', 0, '');
    };
    socket.onmessage = ({ data }) => current() && this.#take(JSON.parse(data));
    socket.onerror = () => current() && this.#retry(1006, 'error'); // Node 22 closes nothing that it could not open
    socket.onclose = ({ code, reason }) => current() && this.#retry(code || 1006, reason); // Deno says 0
  }

  /** Ends the connection, and makes another one unless the code is final. */
  #retry(code, reason) {
    if (final.includes(code)) return this.#finish(code, reason);
    this.#blocked = [...this.#channels.values()].some((c) => c.source?.readyState === 1);
    this.#end(reason);
    this.#timer = setTimeout(() => this.#connect(), wait(code, this.#tries++, this.#options.maxWait));
    this.#call(this.#options.onstate, 'closed', code, reason);
  }

  #end(reason) {
    this.#run++; clearInterval(this.#beat); clearTimeout(this.#timer);
    this.#socket?.close(); this.#socket = undefined;
    for (const [id, a] of this.#asked) if (a.sent || this.closed || this.#blocked) this.#settle(id, a.sent ? new WsifyError('lost', says.lost + (reason && `: ${reason}`)) : new WsifyError('closed'));
  }

  #finish(code, reason) {
    this.closed = true;
    this.#end(reason);
    for (const channel of [...this.#channels.keys()]) this.#forget(channel, new WsifyError('closed', reason || undefined));
    this.#call(this.#options.onstate, 'closed', code, reason);
  }

  #ask(command, args) {
    return new Promise((resolve, reject) => {
      if (this.closed || this.#options.sse || this.#blocked) return reject(new WsifyError('closed'));
      if (!this.#isOpen() && this.#asked.size >= maxWaiting) return reject(new WsifyError('limit'));
      const id = ++this.#id, a = { channel: command === 'join' && args.channel, text: JSON.stringify({ command, args, id }), resolve, reject };
      this.#asked.set(id, a);
      if (this.#isOpen()) this.#send(a);
    });
  }

  #send(a) { a.sent = true; this.#socket.send(a.text); }

  #settle(id, error, reply) {
    const a = this.#asked.get(id);
    if (this.#asked.delete(id)) error ? a.reject(error) : a.resolve(reply);
  }

  /** Joins behind a position, if there is one. */
  #join(channel, c, since) {
    c.source?.close(); c.source = undefined;
    const run = this.#run, past = since ? { since } : c.joined ? {} : { last: c.last };
    this.#ask('join', { channel, ...past }).then(({ position, recovered }) => this.#joined(c, { position, recovered }), (error) =>
      run === this.#run && this.#channels.get(channel) === c && this.#forget(channel, error)); // else it was joined again since
  }

  #joined(c, reply) { this.#tries = c.tries = 0; c.joined = true; c.resolve(reply); }

  /** Ends what is known of a channel. Whoever waits for it gets the error; else onerror, if the server has refused. */
  #forget(channel, error) {
    const c = this.#channels.get(channel);
    this.#channels.delete(channel);
    c?.source?.close(); clearTimeout(c?.timer); c?.reject(error);
    if (c?.joined && !['closed', 'lost'].includes(error.code)) this.#call(this.#options.onerror, Object.assign(error, { channel }));
    return c;
  }

  #take(m) {
    this.#silent = 0;
    const c = this.#channels.get(m.channel ?? this.#asked.get(m.id)?.channel);
    if (c && again.includes(m.error?.code)) return this.#retry(1013, m.error.code); // what comes next must not move the position
    if (!again.includes(m.error?.code)) this.#tries = 0;
    if (m.type === 'gap' || m.recovered === false) this.#call(c?.gap, m.position);
    if (m.type === 'message') this.#call(c ? c.message : this.#options.onmessage, m);
    if (c && m.position && (m.id || m.type !== 'reply')) c.position = m.position; // not what the authorizer has joined
    if (m.type === 'reply') this.#settle(m.id, m.ok ? undefined : new WsifyError(m.error.code, m.error.message), m);
  }

  /** Listens to a channel by server-sent events, until a WebSocket is open. */
  #listen(channel, c) {
    if (c.source || !this.#query || this.closed || this.#isOpen() || this.#channels.get(channel) !== c) return;
    const source = (c.source = new EventSource(this.#address('sse', [['channel', channel], ['last-event-id', c.position]]), { withCredentials: true }));
    let code = 1006;
    const on = (type, f) => source.addEventListener(type, (event) => {
      if (c.source !== source) return;
      f(event.data ? JSON.parse(event.data) : {});
      c.position = event.lastEventId || c.position;
    });
    on('open', () => this.#joined(c, {}));
    on('joined', () => {}); // it has the first position
    on('gap', (gap) => gap.channel === channel && this.#call(c.gap, gap.position));
    on('close', (close) => (code = close.code));
    on('message', (m) => { // what is of no channel, or the authorizer has joined, comes to each stream: one is enough
      if (m.channel === channel) this.#call(c.message, m);
      else if (!this.#channels.has(m.channel) && [...this.#channels.values()].find((other) => other.source) === c) this.#call(this.#options.onmessage, m);
    });
    source.onerror = () => {
      source.close();
      if (c.source !== source) return;
      c.source = undefined;
      if (final.includes(code)) return this.#finish(code, '');
      const next = () => (this.#options.sse ? this.#connect() : this.#listen(channel, c)); // connect asks for a token
      c.timer = setTimeout(next, wait(code, c.tries++, this.#options.maxWait));
    };
  }

  #address(kind, query) {
    const u = new URL(this.#url);
    u.protocol = u.protocol.replace(/http|ws/, kind === 'sse' ? 'http' : 'ws');
    u.pathname = u.pathname.replace(/ws$/, kind);
    for (const [name, value] of [...query, ...this.#query]) if (value) u.searchParams.append(name, value);
    return u.href;
  }

  #call(f, ...values) {
    const { onerror } = this.#options, failed = (error) => (onerror && f !== onerror ? this.#call(onerror, error) : console.error(error));
    new Promise((done) => done(f?.(...values))).catch(failed);
  }
}
