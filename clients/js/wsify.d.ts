/** A publication. */
export interface Message {
  /** Missing when it was published to a user. */
  channel?: string;
  content: any;
  /** Who has published it, where the server knows. */
  user?: string;
  /** Where the channel keeps history. */
  position?: string;
}

export interface Options {
  /** Asked for before each connection, also after 4004. It is `token` in the query. */
  token?: () => string | Promise<string>;
  /** Hears of WebSockets, not of streams. 'closed' is followed by another try, unless `closed` of the client is true. */
  onstate?: (state: 'open' | 'closed', code: number, reason: string) => void;
  /** Hears what is published to a user, and in channels that the authorizer has joined: nothing of that is recovered. */
  onmessage?: (message: Message) => void;
  /** Hears of a channel that cannot be joined again, and of errors in your functions. */
  onerror?: (error: unknown) => void;
  /** true: only server-sent events. false: never. Default: where WebSockets do not open. */
  sse?: boolean;
  /** Milliseconds between two tries, at most: 30,000. */
  maxWait?: number;
  /** Milliseconds between two signs of life, and for a WebSocket to open: 15,000. */
  beat?: number;
}

export interface Handlers {
  message?: (message: Message) => void;
  /** Something was missed that cannot be given: load the state anew. */
  gap?: (position?: string) => void;
  /** Begin behind this position, or with the newest so many publications. */
  since?: string;
  last?: number;
}

export interface Joined { position?: string; recovered?: boolean }

/** Codes are those of the server, and 'closed', 'limit', 'lost' (the outcome is unknown). */
export class WsifyError extends Error {
  constructor(code: string, message?: string);
  code: string;
  /** Of a channel that cannot be joined again. */
  channel?: string;
}

/** One connection to a server, for many channels. */
export class Wsify {
  /** The URL ends with /ws, also behind a proxy: a stream is at /sse beside it. */
  constructor(url: string, options?: Options);
  /** No connection will be made any more: after close(), 4003, or a mistake in the protocol. */
  readonly closed: boolean;
  /** Joins a channel, again after each reconnect. Another call replaces the handlers. The name has no white space around it. */
  join(channel: string, handlers?: Handlers): Promise<Joined>;
  leave(channel: string): Promise<void>;
  /** args may say more: echo, members, user, users, channels, except. */
  publish(channel: string | undefined, content: unknown, args?: Record<string, unknown>): Promise<{ members?: number }>;
  close(): void;
}
