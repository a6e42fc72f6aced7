package netpoll

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
)

// ready handles the events reported for c.
func (c *Conn) ready(events uint32) {
	if c.flags&(flagOpen|flagClosing) != flagOpen {
		return // reported before it ended
	}
	defer c.contain()
	c.Loop().enter()
	if c.Loop().tap != nil {
		c.Loop().tap(c)
	}
	c.handle(events)
	c.Loop().publishTotals()
}

func (c *Conn) handle(events uint32) {
	if events&unix.EPOLLOUT != 0 && c.out != 0 {
		c.flush()
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 || c.has(flagClosing) {
		return
	}
	if c.flags&(flagPaused|flagReadOff) != 0 {
		c.readyUnread(events)
		return
	}
	c.read()
}

// readyUnread handles events of a connection that must not be read now. It drops
// read interest: epoll is level-triggered, so unread bytes would wake the loop
// without end. It closes a broken connection, whose events cannot be switched off,
// and, after CloseOnEnd, one whose stream has ended.
func (c *Conn) readyUnread(events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.Close(ReasonReset)
		return
	}
	if c.has(flagEndCloses) && atEnd(c.fd) {
		c.ended()
		return
	}
	if !c.has(flagReadOff) {
		c.flags |= flagReadOff
		c.setInterest()
	}
}

// read makes one system call only: a peer that sends without end must not delay
// others, and epoll reports it again.
func (c *Conn) read() {
	l := c.Loop()
	n, e := recv(c.fd, l.readBuf[:l.batch.share])
	if c.flags &^= flagMore; n == l.batch.share {
		c.flags |= flagMore
	}
	switch {
	case e == unix.EAGAIN:
		return
	case e != 0:
		c.Close(ReasonReset)
	case n == 0 && c.has(flagEndWaits):
		c.flags |= flagPaused | flagReadOff // the end stays readable
		c.setInterest()
	case n == 0:
		c.ended()
	case c.has(flagLingering):
		// discarded: Linger waits for the end of the stream, or its deadline
	default:
		l.bytesIn += uint64(n)
		l.handler.Data(c, l.readBuf[:n])
		if invariants.Enabled {
			invariants.Clobber(l.readBuf[:n])
		}
	}
}

// ended handles the end of the peer's stream. The queue is written first, because
// the peer may have ended only its side.
func (c *Conn) ended() {
	if c.out == 0 || c.has(flagShut) {
		c.Close(ReasonPeerClosed)
		return
	}
	c.flags |= flagReadOff // end of stream stays readable
	c.setInterest()
	if !c.has(flagLingering) {
		c.flags |= flagLingering
		c.reason = ReasonPeerClosed
		c.setDeadline(c.Loop().lingerTimeout)
	}
}

// contain limits a handler's panic to the connection it happened on. In builds with
// assertions the panic ends the process.
func (c *Conn) contain() {
	if invariants.Enabled {
		return
	}
	if p := recover(); p != nil {
		c.Loop().log.Error("panic while handling a connection", "conn", c.Loop().group.name(c.ID()), "panic", p, "stack", string(debug.Stack()))
		c.Loop().panics.Add(1)
		c.Close(ReasonInternal)
	}
}
