'use strict';
// The charts of the live page. The server streams points: lists of the time and of values, whose
// names come first. A value is null when it is unknown.

const keep = 15 * 60 * 1000; // milliseconds

// scaled writes v with three digits and the largest of units that fits; step is from one to the next.
const scaled = (step, units) => (v) => {
  if (v === null || v === undefined) return '–';
  let i = 0;
  for (; Math.abs(v) >= step && i < units.length - 1; i++) v /= step;
  return (Math.abs(v) >= 100 || Number.isInteger(v) ? Math.round(v) : +v.toPrecision(3)) + units[i];
};
const count = scaled(1000, ['', 'k', 'M', 'G']);
const bytes = scaled(1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
const micros = scaled(1000, [' µs', ' ms', ' s']);
const seconds = (v) => v === 0 ? '0' : micros(v === null || v === undefined ? v : v * 1e6);
const rate = (v) => v === null || v === undefined ? '–' : count(v) + '/s';
const byteRate = (v) => v === null || v === undefined ? '–' : bytes(v) + '/s';

// Each chart has a title, a unit, and lines: names of values with what the legend calls them. A name
// that ends with a dot stands for all values that begin with it; those that are zero are not shown.
const charts = [
  ['Connections', count, { connections: 'open' }],
  ['Channels', count, { channels: 'channels', subscriptions: 'memberships' }],
  ['Connecting', rate, { accepted: 'accepted', upgraded: 'upgraded', ended: 'ended' }],
  ['Messages from clients', rate, { 'received.': '' }],
  ['Publications', rate, { 'published.': '' }],
  ['Deliveries', rate, { sent: 'messages sent' }],
  ['Network', byteRate, { bytes_received: 'in', bytes_sent: 'out' }],
  ['Dropped messages', rate, { 'dropped.': '' }],
  ['Time to deliver to all members', seconds, { fanout: 'sampled' }],
  ['Event loops wait', seconds, { loop_lag: 'longest' }],
  ['Memory', bytes, { resident_bytes: 'resident', heap_bytes: 'heap', write_queue_bytes: 'write queues' }],
  ['CPU', count, { cpu_cores: 'cores' }],
  ['Authorizer answers', rate, { 'authorizer.': '' }],
  ['Authorizer latency', seconds, { authorizer_p50: 'p50', authorizer_p99: 'p99' }],
  ['Authorizer calls', count, { authorizer_inflight: 'under way', queue_depth: 'waiting' }],
  ['Refused upgrades', rate, { 'rejected.': '' }],
  ['Ended connections', rate, { 'closed.': '' }],
  ['Broker', rate, { broker_published: 'published', broker_received: 'received' }],
  ['Broker latency', seconds, { broker_p99: 'p99' }],
  ['Broker queues', bytes, { broker_queue_bytes: 'to publish', broker_backlog_bytes: 'received' }],
];
// A tile has the name of a value, a unit and a label. A name that ends with a dot stands for the sum of
// all values that begin with it.
const tiles = [
  ['connections', count, 'connections'], ['channels', count, 'channels'], ['sent', rate, 'deliveries'],
  ['dropped.', rate, 'dropped'], ['bytes_sent', byteRate, 'sent'],
  ['loop_lag', seconds, 'loop lag'], ['resident_bytes', bytes, 'memory'], ['cpu_cores', count, 'cores used'],
  ['broker_up', (v) => v ? 'up' : 'down', 'broker'],
];

const $ = (id) => document.getElementById(id);
const make = (tag, name, text, into) => {
  const e = into.appendChild(document.createElement(tag));
  e.className = name;
  e.textContent = text;
  return e;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const clock = (s) => new Date(s * 1000).toTimeString().slice(0, 5);

let names = [];
let data = []; // by column: the times in seconds, then the values
let plots = [];

// line is a line of a chart: the place of its values, what it is called, and whether it is left out
// while it is zero.
function linesOf(wanted) {
  return Object.entries(wanted).flatMap(([name, label]) => {
    const isGroup = name.endsWith('.');
    return names.map((n, i) => ({ at: i + 1, name: n, label: isGroup ? n.slice(name.length) : label, optional: isGroup }))
      .filter((l) => isGroup ? l.name.startsWith(name) : l.name === name);
  });
}

// latest is the newest value of a tile; null when it is unknown.
const latest = (name) => linesOf({ [name]: '' }).map((l) => data[l.at].at(-1)).reduce((sum, v) => v == null ? sum : sum + v, null);

// yRange begins at zero, and has room above the largest value.
const yRange = (u, min, max) => max > 0 ? [0, max * 1.1] : [0, 1];
const xRange = () => { const t = data[0].at(-1) ?? Date.now() / 1000; return [t - keep / 1000, t]; };
const powersOfTwo = Array.from({ length: 50 }, (_, i) => 2 ** i);

function options(title, unit, lines, width) {
  const axis = { stroke: color('soft'), grid: { stroke: color('grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    width, height: 150, scales: { x: { range: xRange }, y: { range: yRange } },
    axes: [
      { ...axis, size: 26, space: 60, incrs: [60, 180, 300], values: (u, at) => at.map(clock) },
      { ...axis, size: 64, space: 28, values: (u, at) => at.map(unit), ...(unit === bytes || unit === byteRate ? { incrs: powersOfTwo } : {}) },
    ],
    cursor: { sync: { key: 'all' }, drag: { x: false, y: false }, points: { size: 5 } },
    series: [{ value: (u, v) => v === null ? '' : new Date(v * 1000).toTimeString().slice(0, 8) },
      ...lines.map((l) => ({ label: l.label, width: 1.5, points: { show: false }, value: (u, v) => unit(v), stroke: () => color('c' + l.color), show: !l.optional }))],
  };
}

// build makes all charts anew: at the start, and when the colors change.
function build() {
  plots.forEach((p) => p.u.destroy());
  $('charts').replaceChildren();
  plots = charts.map(([title, unit, wanted]) => ({ title, unit, lines: linesOf(wanted) })).filter((p) => p.lines.length);
  for (const p of plots) {
    let next = 0;
    p.lines.forEach((l) => { l.color = l.optional ? undefined : next++; l.shown = !l.optional; });
    p.next = next;
    const card = make('section', 'card', '', $('charts'));
    make('h2', '', p.title, card);
    p.box = make('div', 'plot', '', card);
    p.box.setAttribute('role', 'img');
    p.u = new uPlot(options(p.title, p.unit, p.lines, Math.max(p.box.clientWidth, 100)), p.lines.map(() => []), p.box);
  }
  draw();
}

const seen = (values) => values.some((v) => v !== null && v !== 0);

// draw shows data. A line that was zero gets its color when it no longer is.
function draw() {
  if (document.hidden) return;
  for (const p of plots) {
    p.lines.forEach((l, i) => {
      const show = !l.optional || seen(data[l.at]);
      if (show && l.color === undefined) {
        l.color = p.next++ % 8;
        p.u.root.querySelectorAll('.u-series')[i + 1].querySelector('.u-marker').style.borderColor = color('c' + l.color);
      }
      if (show !== l.shown) p.u.setSeries(i + 1, { show: l.shown = show }, false);
    });
    p.u.setData([data[0], ...p.lines.map((l) => data[l.at])]);
    const shown = p.lines.filter((l) => l.shown && data[l.at].some((v) => v !== null));
    p.box.classList.toggle('empty', shown.length === 0);
    p.box.setAttribute('aria-label', p.title + ': ' + (shown.map((l) => l.label + ' ' + p.unit(data[l.at].at(-1))).join(', ') || 'no data'));
    if (p.u.cursor.left < 0 || p.u.cursor.idx == null) p.u.setLegend({ idx: data[0].length - 1 }, false);
  }
  $('tiles').replaceChildren();
  for (const [name, unit, label] of tiles) {
    const tile = make('div', 'tile', '', $('tiles'));
    make('b', '', unit(latest(name)), tile);
    make('span', '', label, tile);
  }
}

// drawChannels lists channels, if the server sends their names.
function drawChannels(channels) {
  $('channels').replaceChildren();
  for (const [title, list, unit] of channels ? [['Busiest channels', channels.busiest, rate], ['Largest channels', channels.largest, count]] : []) {
    const card = make('section', 'card', '', $('channels'));
    make('h2', '', title, card);
    for (const c of list ?? []) {
      const row = make('div', '', '', card);
      make('span', '', c.name, row);
      make('b', '', unit(c.value), row);
    }
    if (!list?.length) make('div', '', 'no data', card);
  }
}

function add(point) {
  point.forEach((v, i) => data[i].push(i ? v : v / 1000));
  const old = data[0].findIndex((t) => t * 1000 >= point[0] - keep);
  if (old > 0) data.forEach((column) => column.splice(0, old));
}

function state(text, name) {
  $('state').textContent = text;
  $('state').className = name;
}

const stream = new EventSource('events');
stream.addEventListener('history', (e) => {
  const all = JSON.parse(e.data);
  $('version').textContent = all.version;
  names = all.names;
  data = [[], ...names.map(() => [])];
  all.points.forEach(add);
  state('waiting for data', 'wait');
  build();
});
stream.onmessage = (e) => {
  const { point, notes } = JSON.parse(e.data);
  add(point);
  state(notes.not_ready ? 'not ready: ' + notes.not_ready.join('; ') : 'ready', notes.not_ready ? 'bad' : 'good');
  draw();
  drawChannels(notes.channels);
};
stream.onerror = () => state('no connection to the server; trying again', 'bad');
document.addEventListener('visibilitychange', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', build);
addEventListener('resize', () => plots.forEach((p) => p.u.setSize({ width: p.box.clientWidth, height: 150 })));
