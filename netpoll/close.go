package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// Reason says why a connection ended. The values below are netpoll's own; a
// handler defines its own from ReasonUser on.
type Reason uint8

const (
	// ReasonNone is the zero value: not closed.
	ReasonNone Reason = iota
	// ReasonPeerClosed: the peer ended its side of the stream.
	ReasonPeerClosed
	// ReasonReset: the peer reset the connection, or it timed out in the kernel.
	ReasonReset
	// ReasonInternal: a system call failed, or a handler panicked.
	ReasonInternal
	// ReasonStopped: the group was stopped while the connection was open.
	ReasonStopped
	// ReasonUser is the first value a handler may define.
	ReasonUser Reason = 16
)

// Close ends the connection. The first reason wins; later calls do nothing.
//
// Nothing more is read or sent, the queue is discarded, and Handler.Closed follows
// at the end of this turn. The slot is used again only after every event of the
// current batch has been handled (I3).
func (c *Conn) Close(reason Reason) {
	c.check()
	if c.has(flagClosing) {
		return
	}
	if c.reason == ReasonNone {
		c.reason = reason
	}
	c.flags |= flagClosing
	c.Loop().closing = append(c.Loop().closing, c)
	c.Loop().Wake()
}

// Linger ends the connection in order: it writes the queue, shuts down the write
// side, then reads and discards until the peer ends its side or the timeout passes.
// While a peer reads what is queued, it gets the timeout again, up to maxLonger times.
// Closing a socket with unread bytes would reset the connection, and the peer would
// never see the last message.
//
// Handler.Data is not called any more; Handler.Closed follows at the end.
func (c *Conn) Linger(reason Reason, timeout time.Duration) {
	c.check()
	if c.flags&(flagClosing|flagLingering) != 0 {
		return
	}
	c.reason = reason
	c.flags |= flagLingering
	if c.out != 0 {
		q := c.queue()
		q.last, q.longer = q.unwritten(), 0
	}
	c.setDeadline(timeout)
	c.Resume()
	c.LetGo()
	c.shutWhenWritten()
}

// maxLonger bounds how often a lingering connection gets more time: a minute with a
// timeout of 3 s.
const maxLonger = 20

// lingerOver closes a lingering connection whose time has passed, unless its peer has
// read since: a slow network is no reason to lose what is queued.
func (c *Conn) lingerOver() {
	if c.out != 0 {
		q := c.queue()
		if left := q.unwritten(); left < q.last && q.longer < maxLonger {
			q.last, q.longer = left, q.longer+1
			c.setDeadline(c.Loop().lingerTimeout)
			return
		}
	}
	c.Close(c.reason)
}

// unwritten falls with every byte that is written.
func (q *queue) unwritten() int { return q.bytes - q.off }

// shutWhenWritten ends our side of the stream once nothing is queued.
func (c *Conn) shutWhenWritten() {
	if c.out != 0 || c.has(flagShut) {
		return
	}
	c.flags |= flagShut
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		c.Close(c.reason)
	}
}

// Detach takes the descriptor out of the loop and gives it to the caller, who
// closes it. Nothing may be queued. Handler.Closed is not called, not even when
// Close was, and c must not be used afterwards.
func (c *Conn) Detach() int {
	c.check()
	fd := int(c.fd)
	c.Loop().poller.removeConn(c)
	c.Loop().forget(c)
	return fd
}

// finish completes Close, unless Detach was called since.
func (l *Loop) finish(c *Conn) {
	if c.has(flagOpen) {
		l.handlerClosed(c)
	}
	if !c.has(flagOpen) {
		return
	}
	l.poller.closeConn(c)
	l.forget(c)
}

// handlerClosed calls Handler.Closed. A panic there must not leak the descriptor.
func (l *Loop) handlerClosed(c *Conn) {
	defer l.contain("close")
	l.handler.Closed(c, c.reason)
}

// forget takes c out of every list of its loop and retires its ID. The slot waits
// in limbo until no event of this batch can name it.
func (l *Loop) forget(c *Conn) {
	c.clearDeadline()
	c.forgetWritten()
	if c.out != 0 {
		c.dropQueue()
	}
	c.fd = -1
	c.flags = flagClosing
	l.open.Add(-1)
	l.limbo = append(l.limbo, c.Slot())
	l.Wake()
}

// leaveLimbo frees the slots of connections that ended before its previous call.
//
// It is called at most once a batch, so these connections ended in an earlier batch.
// Every event that was reported before their end has been handled.
func (l *Loop) leaveLimbo() {
	for _, slot := range l.limboOld {
		if l.conns.at(slot).generation < maxGeneration {
			l.slots.Give(slot)
		}
	}
	l.limboOld, l.limbo = l.limbo, l.limboOld[:0]
	if cap(l.limbo) > 4096 {
		l.limbo = nil
	}
}
