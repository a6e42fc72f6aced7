// Package lastread reads once more before a deadline that was found late counts.
//
// When a process or its machine was stopped, it wakes up with its timers due and
// with unread data in its sockets. Go reports a passed deadline before it looks
// into the socket, and a select takes either of two ready cases. So data that
// arrived in time would count as missing.
//
// [Conn] is for connections, [Receive] for results that come through a chan, [Late]
// and [Extended] for everything else with a deadline. They cost almost nothing until
// a deadline has passed.
package lastread

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// lateness is how long after it was due a deadline may be found and still count
	// as found in time. Smaller delays are normal for the scheduler.
	lateness = 100 * time.Millisecond

	// grace is the minimum extension when the lateness is our own fault: the other
	// end, or the network, may have to wake up too.
	grace = 250 * time.Millisecond

	// instant is the time for one read of what is already in the socket. It is longer
	// than a read takes, because the scheduler may delay it.
	instant = 5 * time.Millisecond
)

// Late reports whether a deadline due at that instant was found late, so that it is
// not only the other end's fault.
func Late(due time.Time) bool { return time.Since(due) > lateness }

// Extended returns the final deadline to replace one that was due at that instant
// and has passed. If it was found late, the new one is patience from now, at least
// 250 ms. The reason for the delay is unknown, so the other end gets its whole time
// again. Otherwise it is 5 ms from now.
func Extended(due time.Time, patience time.Duration) time.Time {
	if Late(due) {
		return time.Now().Add(max(patience, grace))
	}
	return time.Now().Add(instant)
}

// Conn is a connection whose reads end at their deadline, but only after what was
// in the socket by then has been read. When a Read finds that its deadline has
// passed, it extends the deadline, once. Writes do the same, so that an exchange
// can continue. Deadlines are set as usual.
//
// Use it below TLS, which never recovers from a timeout. For methods beyond those
// of net.Conn, use its field.
type Conn struct {
	net.Conn
	patience time.Duration // immutable

	mu    sync.Mutex // a leaf lock
	read  deadline   // guarded by mu
	write deadline   // guarded by mu
}

// deadline is the read or the write deadline of a connection.
type deadline struct {
	due      time.Time // zero: none
	extended bool
}

// New returns c with deadlines that are extended as [Extended] says.
func New(c net.Conn, patience time.Duration) *Conn { return &Conn{Conn: c, patience: patience} }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = deadline{due: t}, deadline{due: t}
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = deadline{due: t}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = deadline{due: t}
	return c.Conn.SetWriteDeadline(t)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.extend(err, &c.read, c.Conn.SetReadDeadline) {
		return c.Conn.Read(p)
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.extend(err, &c.write, c.Conn.SetWriteDeadline) {
		more, err := c.Conn.Write(p[n:])
		return n + more, err
	}
	return n, err
}

// extend extends the deadline d that caused err, and reports whether to try again.
// It does not when err is another error or d was extended before.
func (c *Conn) extend(err error, d *deadline, set func(time.Time) error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case d.extended:
		return false
	case d.due.IsZero() || time.Now().Before(d.due): // it has been set again since
		return true
	}
	d.extended = true
	return set(Extended(d.due, c.patience)) == nil
}

// Receive waits for a value from ch until the timeout, and reports false when none
// has come. After the timeout it waits once more: 5 ms, or 250 ms when it found the
// timeout late.
func Receive[T any](ch <-chan T, timeout time.Duration) (v T, ok bool) {
	due := time.Now().Add(timeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case v = <-ch:
		return v, true
	case <-timer.C:
	}
	timer.Reset(time.Until(Extended(due, 0)))
	select {
	case v = <-ch:
		return v, true
	case <-timer.C:
		return v, false
	}
}
