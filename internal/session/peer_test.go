package session

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A peer is the client's end of a connection to the server. It writes and reads raw
// bytes, HTTP and WebSocket frames. Methods that return no error fail the test, so only
// the test's goroutine may call them. Every method has a deadline.
type peer struct {
	net.Conn
	t        testing.TB
	r        *bufio.Reader
	pings    int
	deflate  bool // compression was agreed on
	deflated int  // compressed messages received
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
	return newPeer(t, conn)
}

func newPeer(t testing.TB, conn net.Conn) *peer {
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

// upgradeHead returns the head of a valid upgrade request.
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

// tryWrite is write for other goroutines, and for connections the server may have ended.
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
	close  bool // the server ends the connection after it
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

// tryResponse is response for other goroutines.
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

// expectUpgrade reads the 101 for upgradeHead.
func (p *peer) expectUpgrade() {
	p.t.Helper()
	res := p.expectStatus(http.StatusSwitchingProtocols)
	if got, want := res.header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		p.t.Fatalf("Sec-WebSocket-Accept %q, want %q", got, want)
	}
}

// send sends text as one message.
func (p *peer) send(text string) {
	p.t.Helper()
	p.write(message(text))
}

// next reads one frame. It checks the rules for every frame of a server: no mask,
// no reserved bits, the shortest length form, small unfragmented control frames. It
// inflates a compressed message where that was agreed on.
func (p *peer) next() (frame, error) {
	_ = p.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{fin: head[0]&0x80 != 0, op: head[0] & 0xf}
	packed := p.deflate && head[0]&0x70 == rsv1 && f.fin && f.op < opClose
	if packed {
		head[0] &^= rsv1
		p.deflated++
	}
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
	if f.payload = string(payload); packed && err == nil {
		f.payload, err = unpacked(f.payload)
	}
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

// expectClose reads a Close frame, checks its code (0 for an empty frame), expects
// the end of the stream, and closes the connection.
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

// expectEnd expects the end of the stream, without a reset and with nothing before
// it, and closes the connection.
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

// sync pings the server and returns the frames before the pong. If no command waits,
// these are the answers to all earlier input, and deliveries.
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

// expectNothing expects no frame in reply to earlier input. See settle for publications
// of other peers.
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

// join joins channels and waits for the acks. No other frame may be in flight.
func (p *peer) join(channels ...string) {
	p.t.Helper()
	p.acked("join", channels)
}

// leave leaves channels and waits for the acks. No other frame may be in flight.
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

// broadcast publishes content, which is JSON, and does not wait.
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
