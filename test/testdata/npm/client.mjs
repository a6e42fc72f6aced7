// A WebSocket client on npm's ws: what it is to send comes in as lines, what
// happens to it goes out as lines (see client in client_test.go).
import readline from 'node:readline';
import WebSocket from 'ws';

const say = (line) => process.stdout.write(line + '\n');
const socket = new WebSocket(process.argv[2]);

socket.on('open', () => say(`open ${socket.extensions}`.trim()));
socket.on('message', (data, isBinary) => say(isBinary ? `binary ${data.length}` : `message ${data}`));
socket.on('close', (code, reason) => say(`close ${code} ${reason}`.trim()));
socket.on('unexpected-response', (request, response) => {
  say(`refused ${response.statusCode}`);
  request.destroy();
});
socket.on('error', (err) => process.stderr.write(`${err.message}\n`));

readline.createInterface({ input: process.stdin }).on('line', (line) => socket.send(line));
