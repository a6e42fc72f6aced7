package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wsify/netpoll"
)

// patience is how long a test waits for what must happen. It is reached only when
// the test fails, so it is far above what the slowest machine needs.
const patience = 20 * time.Second

// start runs a server on a free port of 127.0.0.1, unless cfg says otherwise, and
// ends it with the test. Connections made before are closed first, as clean-ups run
// in reverse; the end then finds whatever the server holds on to.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.ListenAddr == "" {
		cfg.ListenAddr = "127.0.0.1:0"
	}
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	srv, err := Start(cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		st := srv.Stats()
		if st.Net.Connections != 0 || st.Net.QueuedBytes != 0 || st.Net.Panics != 0 || st.Channels != 0 || st.Subscriptions != 0 {
			t.Errorf("after the end: %d connections, %d queued bytes, %d panics, %d channels, %d subscriptions; want none",
				st.Net.Connections, st.Net.QueuedBytes, st.Net.Panics, st.Channels, st.Subscriptions)
		}
	})
	return srv
}

// startLogged is start with everything the server logs kept in the returned log.
func startLogged(t testing.TB, cfg Config) (*Server, *logBook) {
	t.Helper()
	book := &logBook{}
	cfg.Logger = slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return start(t, cfg), book
}

// logBook keeps what is logged. It may be used from any goroutine.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// waitFor asks again and again until what is true, and fails the test when it does
// not become so.
func waitFor(t testing.TB, what string, isTrue func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for limit := time.Now().Add(patience); !isTrue(); <-again.C {
		if time.Now().After(limit) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// A peer is the other end of a connection to the server: raw bytes, HTTP and
// WebSocket frames as a client writes and reads them. Its methods fail the test,
// and so belong to the test's goroutine, unless they return an error. Every one has
// a deadline.
type peer struct {
	net.Conn
	t     testing.TB
	r     *bufio.Reader
	pings int
}

// dial connects to the server and sends nothing. The connection ends with the test.
func dial(t testing.TB, srv *Server) *peer {
	t.Helper()
	return dialAddr(t, srv.Addr().Network(), srv.Addr().String())
}

// dialAddr is dial for an address.
func dialAddr(t testing.TB, network, addr string) *peer {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		t.Fatalf("dial %s %s: %v", network, addr, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{Conn: conn, t: t, r: bufio.NewReaderSize(conn, 16<<10)}
}

// connect dials and upgrades on target, "/ws" or "/ws?query". headers are whole
// header lines without line ends.
func connect(t testing.TB, srv *Server, target string, headers ...string) *peer {
	t.Helper()
	p := dial(t, srv)
	p.write(upgradeHead(target, headers...))
	p.expectUpgrade()
	return p
}

// upgradeHead is the head of a good upgrade request.
func upgradeHead(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + lines(headers) + "\r\n"
}

func lines(headers []string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return b.String()
}

// write sends raw bytes.
func (p *peer) write(raw string) {
	p.t.Helper()
	if err := p.tryWrite(raw); err != nil {
		p.t.Fatalf("write of %d bytes: %v", len(raw), err)
	}
}

// tryWrite is write for goroutines, and for connections the server may have ended.
func (p *peer) tryWrite(raw string) error {
	_ = p.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(p.Conn, raw)
	return err
}

// A response is an HTTP answer.
type response struct {
	status int
	header http.Header
	body   string
	close  bool // the server ends the connection behind it
}

// response reads one HTTP answer.
func (p *peer) response() response {
	p.t.Helper()
	res, err := p.tryResponse()
	if err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	return res
}

// tryResponse is response for goroutines.
func (p *peer) tryResponse() (response, error) {
	_ = p.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return response{}, err
	}
	body, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(body), res.Close}, err
}

// expectStatus reads one HTTP answer and checks its status.
func (p *peer) expectStatus(want int) response {
	p.t.Helper()
	res := p.response()
	if res.status != want {
		p.t.Fatalf("status %d %q, want %d", res.status, res.body, want)
	}
	return res
}

// expectUpgrade reads the 101 that answers upgradeHead.
func (p *peer) expectUpgrade() {
	p.t.Helper()
	res := p.expectStatus(http.StatusSwitchingProtocols)
	if got, want := res.header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		p.t.Fatalf("Sec-WebSocket-Accept %q, want %q", got, want)
	}
}

// Opcodes; RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// A frame is one frame of the server. Those of fragments have fin false.
type frame struct {
	fin     bool
	op      byte
	payload string
}

func (f frame) String() string {
	name, ok := map[byte]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}[f.op]
	if !ok {
		name = fmt.Sprintf("opcode %#x", f.op)
	}
	if f.op == opClose && len(f.payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16([]byte(f.payload)), f.payload[2:])
	}
	if len(f.payload) > 200 {
		return fmt.Sprintf("%s of %d bytes %q…", name, len(f.payload), f.payload[:200])
	}
	return fmt.Sprintf("%s %q", name, f.payload)
}

// maskKey is what every frame of ours is masked with.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked is a client's frame. first is its first byte: FIN, the reserved bits and
// the opcode.
func masked(first byte, payload string) string {
	b := make([]byte, 0, len(payload)+14)
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 0x80|127), uint64(n))
	}
	b = append(b, maskKey[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^maskKey[i&3])
	}
	return string(b)
}

// message is a whole text message as a client's frame.
func message(text string) string { return masked(0x80|opText, text) }

// closing is a client's Close frame. Code 0 is one without a payload.
func closing(code int, reason string) string {
	if code == 0 {
		return masked(0x80|opClose, "")
	}
	return masked(0x80|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// send sends text as one message.
func (p *peer) send(text string) {
	p.t.Helper()
	p.write(message(text))
}

// next reads one frame. It checks what holds for every frame of a server: no mask,
// no reserved bits, the shortest length, small whole control frames.
func (p *peer) next() (frame, error) {
	_ = p.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{fin: head[0]&0x80 != 0, op: head[0] & 0xf}
	n, shortest, extra := uint64(head[1]&0x7f), uint64(0), 0
	switch n {
	case 126:
		shortest, extra = 126, 2
	case 127:
		shortest, extra = 1<<16, 8
	}
	if extra > 0 {
		var size [8]byte
		if _, err := io.ReadFull(p.r, size[8-extra:]); err != nil {
			return f, err
		}
		n = binary.BigEndian.Uint64(size[:])
	}
	switch {
	case head[0]&0x70 != 0 || head[1]&0x80 != 0 || n < shortest:
		return f, fmt.Errorf("not a server's frame: % x, %d bytes", head, n)
	case f.op >= opClose && (!f.fin || n > 125):
		return f, fmt.Errorf("not a control frame: % x, %d bytes", head, n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(p.r, payload)
	f.payload = string(payload)
	return f, err
}

// expect reads one frame and checks it.
func (p *peer) expect(op byte, payload string) {
	p.t.Helper()
	want := frame{true, op, payload}
	got, err := p.next()
	if err != nil {
		p.t.Fatalf("got %v, want %v", err, want)
	}
	if got != want {
		p.t.Fatalf("got %v, want %v", got, want)
	}
}

// expectText reads messages and checks them one by one.
func (p *peer) expectText(want ...string) {
	p.t.Helper()
	for _, text := range want {
		p.expect(opText, text)
	}
}

// expectClose reads a Close frame, checks its code (0 is an empty one), then wants
// the end of the stream. The connection is closed then.
func (p *peer) expectClose(code int) {
	p.t.Helper()
	got, err := p.next()
	switch {
	case err != nil:
		p.t.Fatalf("got %v, want close %d", err, code)
	case got.op != opClose, code == 0 && got.payload != "", code != 0 && closeCode(got) != code:
		p.t.Fatalf("got %v, want close %d", got, code)
	}
	p.expectEnd()
}

// closeCode is the code in a Close frame, 0 without one.
func closeCode(f frame) int {
	if f.op != opClose || len(f.payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(f.payload)))
}

// expectEnd wants the orderly end of the stream, with nothing before it, and closes
// the connection.
func (p *peer) expectEnd() {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	if b, err := p.r.ReadByte(); err != io.EOF {
		p.t.Fatalf("got byte %#x, error %v; want the end of the stream", b, err)
	}
	_ = p.Close()
}

// isEnd reports whether err says that the other side ended or reset the stream.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sync pings the server and returns what came before the pong: with everything
// sent before handled, these are the answers to it, and what else was delivered.
func (p *peer) sync() []frame {
	p.t.Helper()
	p.pings++
	token := "sync " + strconv.Itoa(p.pings)
	p.write(masked(0x80|opPing, token))
	var before []frame
	for {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("waiting for a pong: %v", err)
		}
		if f.op == opPong && f.payload == token {
			return before
		}
		before = append(before, f)
	}
}

// expectNothing wants no frame from all that was sent and published before. See
// settle for publications of others.
func (p *peer) expectNothing() {
	p.t.Helper()
	if got := p.sync(); len(got) > 0 {
		p.t.Fatalf("got %v, want nothing", got)
	}
}

// usable checks that the connection is open and its commands work.
func (p *peer) usable() {
	p.t.Helper()
	p.join("usable")
	p.send(`{"command":"broadcast","args":{"channel":"usable","content":"yes"}}`)
	p.expectText(`"yes"`)
	p.leave("usable")
}

// join joins channels and waits for the acks. Nothing else must be on its way.
func (p *peer) join(channels ...string) {
	p.t.Helper()
	p.acked("join", channels)
}

// leave leaves channels and waits for the acks. Nothing else must be on its way.
func (p *peer) leave(channels ...string) {
	p.t.Helper()
	p.acked("leave", channels)
}

func (p *peer) acked(command string, channels []string) {
	p.t.Helper()
	for _, channel := range channels {
		p.send(fmt.Sprintf(`{"command":%q,"args":{"channel":%q},"id":%q}`, command, channel, command))
		p.expectText(fmt.Sprintf(`{"id":%q,"ok":true}`, command))
	}
}

// broadcast publishes content, which is JSON, without waiting for anything.
func (p *peer) broadcast(channel, content string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%s}}`, channel, content))
}

// reset ends the connection so that the server sees a reset.
func (p *peer) reset() {
	if tcp, ok := p.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = p.Close()
}

// closeWrite ends our side of the stream.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatalf("close of the write side: %v", err)
	}
}

// settle returns when everything published before has been given to the kernel or
// to the members' queues.
func settle(t testing.TB, srv *Server) {
	t.Helper()
	for _, l := range srv.loops {
		waitFor(t, "the loops have delivered everything", func() bool {
			var pending bool
			onLoop(t, l, func() { pending = l.hub.Pending() })
			onLoop(t, l, func() { pending = pending || l.hub.Pending() }) // the turn of the first is over
			return !pending
		})
	}
}

// onLoop runs fn on the loop's goroutine and waits for it.
func onLoop(t testing.TB, l *loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	l.net.Post(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the loop does not answer")
	}
}

// holdLoop keeps a loop from doing anything until the returned function is called
// (more than once is fine), which also happens at the end of the test.
func holdLoop(t testing.TB, l *loop) (release func()) {
	t.Helper()
	held, gate := make(chan struct{}), make(chan struct{})
	l.net.Post(func() {
		close(held)
		<-gate
	})
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("the loop does not answer")
	}
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return release
}

// sessionsIn counts the sessions of all loops that are in this state.
func sessionsIn(t testing.TB, srv *Server, want state) int {
	t.Helper()
	n := 0
	for _, l := range srv.loops {
		onLoop(t, l, func() { n += l.countState(want) })
	}
	return n
}

// countState counts the sessions of a loop that are in this state. It runs on the
// loop.
func (l *loop) countState(want state) (n int) {
	l.net.Each(func(c *netpoll.Conn) {
		if l.session(c).state == want {
			n++
		}
	})
	return n
}

// post sends one POST on a connection of its own and returns the answer. A
// Content-Type is added unless headers hold one.
func post(t testing.TB, srv *Server, target, body string, headers ...string) response {
	t.Helper()
	p := dial(t, srv)
	defer p.Close()
	p.write(postRequest(target, body, headers...))
	return p.response()
}

// postRequest is a whole POST request.
func postRequest(target, body string, headers ...string) string {
	all := lines(headers)
	if !strings.Contains(strings.ToLower(all), "content-type:") {
		all += "Content-Type: application/json\r\n"
	}
	return "POST " + target + " HTTP/1.1\r\nHost: example.com\r\n" + all +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// publish publishes content, which is JSON, over HTTP and wants 201.
func publish(t testing.TB, srv *Server, channel, content string) {
	t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	if res := post(t, srv, "/broadcast", body); res.status != http.StatusCreated || res.body != "" {
		t.Fatalf("POST /broadcast %s: %d %q, want 201 and an empty body", body, res.status, res.body)
	}
}

// rss is the resident memory of this process, in bytes.
func rss(t testing.TB) int64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
