package auth

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// link is a connection in the pool. It can tell whether the webhook has closed it, and can replace
// it with a new one in place, so that the pool's count, and with it Config.MaxConns, stays exact.
//
// A link belongs to the call that took it from the pool, or to the pool.
type link struct {
	net.Conn                 // TLS or TCP
	dialer   *dialer         // immutable
	raw      syscall.RawConn // of the TCP connection
	look     func(fd uintptr)
	poll     [1]unix.PollFd
	gone     bool      // what look has found
	opened   time.Time // when it was dialled

	// Of the try under way.
	received int   // bytes of the answer
	lost     error // first failure of a read or write
}

// newLink returns a link without a connection; open comes next.
func newLink(d *dialer) *link {
	l := &link{dialer: d}
	l.look = l.lookAt // once: a method value allocates
	return l
}

// open dials. A connection that was there before is closed.
func (l *link) open(deadline time.Time) error {
	if l.Conn != nil {
		_ = l.Conn.Close()
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	conn, tcp, err := l.dialer.dial(ctx)
	if err != nil {
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return unreachable(err)
	}
	l.Conn, l.raw, l.opened = conn, raw, time.Now()
	return nil
}

// begin starts a try that must end by deadline.
func (l *link) begin(deadline time.Time) error {
	l.received, l.lost = 0, nil
	return l.note(l.SetDeadline(deadline))
}

// Read reads from the connection and counts the bytes.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.received += n
	return n, l.note(err)
}

// Write writes to the connection.
func (l *link) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	return n, l.note(err)
}

func (l *link) note(err error) error {
	if err != nil && l.lost == nil {
		l.lost = err
	}
	return err
}

// stale reports whether an idle connection can no longer be used: the webhook has closed it or has
// sent unsolicited data, or it is too old. It does not block.
func (l *link) stale() bool {
	if time.Since(l.opened) > l.dialer.maxAge {
		return true
	}
	l.gone = false
	err := l.raw.Control(l.look)
	return err != nil || l.gone
}

// lookAt calls poll(2), which always reports POLLHUP and POLLERR. POLLRDHUP reports the end of the
// stream even when bytes wait before it. Waiting bytes alone are an error in HTTP but not in TLS,
// where session tickets arrive unsolicited (RFC 8446, section 4.6.1).
func (l *link) lookAt(fd uintptr) {
	events := int16(unix.POLLRDHUP)
	if l.dialer.tls == nil {
		events |= unix.POLLIN
	}
	l.poll[0] = unix.PollFd{Fd: int32(fd), Events: events}
	n, err := unix.Poll(l.poll[:], 0)
	l.gone = err == nil && n > 0
}
