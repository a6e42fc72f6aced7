// What a user can set: environment variables, each with a default.

export const WS_URL = text('WS_URL', 'ws://127.0.0.1:3000/ws');

// POST /broadcast of the same server, unless HTTP_URL says otherwise.
export const HTTP_URL = text('HTTP_URL', WS_URL.replace(/^ws/, 'http').replace(/\/ws([?].*)?$/, '/broadcast'));

export const KEY = text('KEY', ''); // the server's -broadcasting-key

export function text(name, fallback) {
  return __ENV[name] || fallback;
}

// number returns a number of least or more. A wrong value ends k6 before it starts.
export function number(name, fallback, least = 1) {
  const value = Number(text(name, fallback));
  if (!(value >= least)) {
    throw new Error(`${name} is ${__ENV[name]}: it has to be a number, ${least} or more`);
  }
  return value;
}

// whole is number, without a fraction.
export function whole(name, fallback, least = 1) {
  const value = number(name, fallback, least);
  if (value !== Math.floor(value)) {
    throw new Error(`${name} is ${__ENV[name]}: it has to be a whole number`);
  }
  return value;
}

const UNITS = { ms: 1, s: 1000, m: 60000, h: 3600000 };

// duration returns milliseconds, from a value such as 500ms, 10s or 1m30s.
export function duration(name, fallback) {
  const value = text(name, fallback);
  if (!/^([\d.]+(ms|s|m|h))+$/.test(value)) {
    throw new Error(`${name} is ${value}: it has to be a duration such as 500ms, 10s or 1m30s`);
  }
  let sum = 0;
  for (const [, amount, unit] of value.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    sum += Number(amount) * UNITS[unit];
  }
  return sum;
}
