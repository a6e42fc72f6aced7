package netpoll

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/buffer"
)

// patience is how long a test waits for an event. It does not measure speed: only a
// failing test waits that long.
const patience = 30 * time.Second

// hooks is a Handler made of functions; nil ones do nothing.
type hooks struct {
	opened  func(c *Conn)
	data    func(c *Conn, p []byte)
	expired func(c *Conn)
	turn    func() bool
	closed  func(c *Conn, reason Reason)
}

var _ Handler = (*hooks)(nil)

func (h *hooks) Opened(c *Conn) {
	if h.opened != nil {
		h.opened(c)
	}
}

func (h *hooks) Data(c *Conn, p []byte) {
	if h.data != nil {
		h.data(c, p)
	}
}

func (h *hooks) Expired(c *Conn) {
	if h.expired != nil {
		h.expired(c)
	}
}

func (h *hooks) Turn() bool { return h.turn != nil && h.turn() }

func (h *hooks) Closed(c *Conn, reason Reason) {
	if h.closed != nil {
		h.closed(c, reason)
	}
}

// echo is a handler that sends back what it reads.
func echo() *hooks {
	return &hooks{data: func(c *Conn, p []byte) { c.Send(p) }}
}

// pollerUnderTest is the poller that the tests run on: WSIFY_TEST_POLLER, else the
// default. TestEveryPoller runs them on the other one.
var pollerUnderTest = Poller(os.Getenv("WSIFY_TEST_POLLER"))

// start opens a group with h on every loop and stops it at the end of the test.
func start(t testing.TB, cfg Config, h *hooks) *Group {
	t.Helper()
	if cfg.Poller == "" {
		cfg.Poller = pollerUnderTest
	}
	g, err := Open(cfg, func(*Loop) Handler { return h })
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return g
}

// ended is one call of Handler.Closed.
type ended struct {
	id     uint64
	reason Reason
}

// probe is a group of one loop that reports to the test each call of its handler. A
// test's own hooks run after the report.
type probe struct {
	t      testing.TB
	g      *Group
	l      *Loop
	addr   net.Addr
	opened chan uint64
	data   chan string
	closed chan ended
}

// newProbe starts a probe that listens on a free port of 127.0.0.1.
func newProbe(t testing.TB, cfg Config, h hooks) *probe {
	t.Helper()
	const room = 1 << 14 // more than any test has pending: the loop must not block
	p := &probe{t: t, opened: make(chan uint64, room), data: make(chan string, room), closed: make(chan ended, room)}
	cfg.Loops = 1
	own := h
	h.opened = func(c *Conn) {
		p.opened <- c.ID()
		own.Opened(c)
	}
	h.data = func(c *Conn, b []byte) {
		p.data <- string(b)
		own.Data(c, b)
	}
	h.closed = func(c *Conn, reason Reason) {
		p.closed <- ended{c.ID(), reason}
		own.Closed(c, reason)
	}
	p.g = start(t, cfg, &h)
	p.l = p.g.Loop(0)
	p.addr = listen(t, p.g, "127.0.0.1:0")
	return p
}

// connect returns a TCP client of the probe and the ID of its connection.
func (p *probe) connect() (*net.TCPConn, uint64) {
	p.t.Helper()
	client := dial(p.t, p.addr)
	return client.(*net.TCPConn), await(p.t, p.opened, "Opened")
}

// adopt gives the probe one end of a unix socket pair whose send buffer is as small
// as the kernel allows, and returns the other end, which is non-blocking.
func (p *probe) adopt() (peer int, id uint64) {
	p.t.Helper()
	ours, peer := socketPair(p.t)
	_ = unix.SetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	if err := p.g.Adopt(ours, nil); err != nil {
		p.t.Fatalf("Adopt: %v", err)
	}
	return peer, await(p.t, p.opened, "Opened")
}

// with runs fn on the loop with the connection named id, which must be open.
func (p *probe) with(id uint64, fn func(c *Conn)) {
	p.t.Helper()
	found := false
	on(p.t, p.l, func() {
		if c := p.l.Conn(id); c != nil {
			found = true
			fn(c)
		}
	})
	if !found {
		p.t.Fatalf("connection %x is gone", id)
	}
}

// wantClosed waits for Closed and checks its arguments.
func (p *probe) wantClosed(id uint64, reason Reason) {
	p.t.Helper()
	if got := await(p.t, p.closed, "Closed"); got != (ended{id, reason}) {
		p.t.Fatalf("Closed(%x, %d), want (%x, %d)", got.id, got.reason, id, reason)
	}
}

// wantQuiet checks that the test has taken all reports.
func (p *probe) wantQuiet() {
	p.t.Helper()
	p.rounds(3)
	select {
	case e := <-p.closed:
		p.t.Fatalf("unexpected Closed(%x, %d)", e.id, e.reason)
	case d := <-p.data:
		p.t.Fatalf("unexpected Data of %d bytes: %.40q", len(d), d)
	default:
	}
}

// rounds makes the loop call epoll n times more, so that all that is ready now, and
// all that stays ready, has been reported.
func (p *probe) rounds(n int) {
	p.t.Helper()
	for range n {
		on(p.t, p.l, func() {})
	}
}

// hold keeps the loop in a task until release is called. Events that arrive until
// then form one batch, in that order.
func (p *probe) hold() (release func()) {
	p.t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	p.l.Post(func() {
		close(held)
		<-free
	})
	await(p.t, held, "the loop to be held")
	return func() { close(free) }
}

// countEvents counts the events of c from now on. It is called on the loop.
func countEvents(c *Conn) *atomic.Int64 {
	var n atomic.Int64
	id, before := c.ID(), c.Loop().tap
	c.Loop().tap = func(c *Conn) {
		if c.ID() == id {
			n.Add(1)
		}
		if before != nil {
			before(c)
		}
	}
	return &n
}

// on runs fn on the loop and waits for it.
func on(t testing.TB, l *Loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		fn()
	})
	await(t, done, "a posted task")
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
	return v
}

// until polls for a condition that no event reports.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

func listen(t testing.TB, g *Group, addr string) net.Addr {
	t.Helper()
	a, err := g.Listen(addr)
	if err != nil {
		t.Fatalf("Listen(%q): %v", addr, err)
	}
	return a
}

// dial connects to addr. The connection times out after patience, so that a failing
// test ends.
func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), patience)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func socketPair(t testing.TB) (ours, peer int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("socketpair: %v", err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// drain reads what the peer can read now.
func drain(fd int) []byte {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

func write(t testing.TB, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func wantRead(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read: %v", err)
	}
	if string(got) != want {
		t.Fatalf("read %.60q, want %.60q", got, want)
	}
}

// wantEnd checks that the stream ends with end of file, not with a reset.
func wantEnd(t testing.TB, c io.Reader) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil {
		t.Fatalf("read %d bytes and %v, want the end of the stream", n, err)
	}
}

// shared returns a buffer with these contents; the test owns its reference.
func shared(s string) *Shared {
	b := buffer.New(len(s))
	b.Append([]byte(s), 1)
	return b
}

// drainTCP reads n bytes.
func drainTCP(t testing.TB, c io.Reader, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatalf("read: %v", err)
	}
	return p
}

// descriptor writes to a raw descriptor.
type descriptor int

func (fd descriptor) Write(p []byte) (int, error) { return unix.Write(int(fd), p) }

func port(a net.Addr) int { return a.(*net.TCPAddr).Port }
