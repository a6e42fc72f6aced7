package server

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/wire"
	"wsify/netpoll"
)

// maxHTTP is how many connections may be at the HTTP server at once. Each has a
// goroutine and buffers, so they are bounded apart from the sessions; beyond it
// the answer is 503.
const maxHTTP = 2048

// handOff gives a connection that is no upgrade to the HTTP server, with what was
// read from it.
func (l *loop) handOff(c *netpoll.Conn, s *session, head, rest []byte) {
	if l.srv.draining.Load() || !l.srv.http.enter() {
		l.refuse(c, s, rejectHTTP, 503, retryAfter(), "Too many HTTP connections.\n")
		return
	}
	read := append(append(make([]byte, 0, len(head)+len(rest)), head...), rest...)
	l.forget(s)
	s.state = ending
	l.counts.handedOff.Add(1)
	l.counts.closed[reasonHandedOff].Add(1)
	if l.srv.debugging() {
		l.logEnded(c, reasonHandedOff)
	}
	fd := c.Detach()
	go l.srv.http.serve(fd, read)
}

// serve speaks HTTP on a descriptor that was taken out of its event loop.
func (h *httpServer) serve(fd int, read []byte) {
	defer h.leave()
	defer h.contain()
	file := os.NewFile(uintptr(fd), "http connection")
	conn, err := net.FileConn(file)
	if err != nil { // it needs a second descriptor for a moment
		_, _ = file.Write(wire.AppendResponse(nil, 503, retryAfter(), "No descriptor is free.\n"))
		_ = file.Close()
		h.srv.log.Debug("hand-off failed", "err", err)
		return
	}
	_ = file.Close()
	p := &httpConn{Conn: conn, tracker: &h.tracker, prefix: read}
	h.track(p)
	defer h.untrack(p)
	// Errors here are the peer's: a malformed request, a timeout, a reset.
	if err := h.fast.ServeConn(p); err != nil {
		h.srv.log.Debug("http connection ended", "err", err)
	}
}

// contain keeps a panic to the connection it happened on.
func (h *httpServer) contain() {
	if p := recover(); p != nil {
		h.srv.faults.Error("panic on an HTTP connection", "panic", p, "stack", string(debug.Stack()))
	}
}

// httpConn is the net.Conn that the HTTP server gets: it yields the bytes that the
// event loop has read, then the connection's own.
type httpConn struct {
	net.Conn
	tracker *tracker
	prefix  []byte
	moved   bool // an event loop has the connection again, under another descriptor
	// stranger: the last request was one that only strangers make.
	stranger atomic.Bool
	busy     bool // a request is being read or answered; guarded by the tracker's lock
}

// Read implements net.Conn.
func (c *httpConn) Read(b []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.prefix)
	if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
		c.prefix = nil
	}
	return n, nil
}

// SetReadDeadline implements net.Conn.
func (c *httpConn) SetReadDeadline(at time.Time) error {
	return c.tracker.readDeadline(c, at)
}

// Bounds on what is read after the last response.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// Close ends our side first and reads on for a moment: closing over unread bytes
// of a refused request would reset the connection, and the peer would never see
// the refusal.
func (c *httpConn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && !c.moved && half.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
}

// giveBack makes the connection one of the event loops' again: a proxy may upgrade
// on a connection it has used for a request before. head is the upgrade's head; rest
// yields what the HTTP server has read behind it, ahead of what it has not read yet.
func (h *httpServer) giveBack(c *httpConn, head []byte, rest net.Conn) {
	defer h.contain()
	_ = rest.SetReadDeadline(time.Now())
	buf := make([]byte, h.srv.cfg.MaxHeadSize)
	n, _ := rest.Read(buf)
	fd, err := duplicate(c.Conn)
	if err != nil {
		h.srv.log.Debug("upgrade of a kept connection failed", "err", err)
		return
	}
	c.moved = true
	read := append(append(head, buf[:n]...), c.prefix...)
	if err := h.srv.group.Adopt(fd, read); err != nil {
		h.srv.log.Debug("upgrade of a kept connection failed", "err", err)
	}
}

// duplicate returns a second descriptor of c's socket.
func duplicate(c net.Conn) (int, error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(f uintptr) { fd, dupErr = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}
