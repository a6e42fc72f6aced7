// Package lastread lets nobody be judged by a deadline that was found late.
//
// A process that was stopped, or whose machine was, wakes up with its timers due
// and with what came meanwhile still in its sockets. Go reports a passed deadline
// before it looks into the socket, and a select takes any of the two that are
// ready. So what was in time would count as missing.
//
// [Conn] is for connections, [Receive] for outcomes that come through a chan, [Late]
// and [Extended] are for everything else that has a deadline. They cost next to
// nothing until a deadline has passed.
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
	// as found in time. Less is an ordinary delay of the scheduler.
	lateness = 100 * time.Millisecond

	// grace is the least time for what is late by our own fault: what comes once the
	// other end, or the network, has woken up too.
	grace = 250 * time.Millisecond

	// instant is the time for one read of what is in the socket already. It is longer
	// than a read takes, for the scheduler's sake.
	instant = 5 * time.Millisecond
)

// Late reports whether what was due at that instant is only now found to be, so
// that it is not the other end's fault alone.
func Late(due time.Time) bool { return time.Since(due) > lateness }

// Extended returns the last deadline for what was due at that instant, which has
// passed. When it was found late it is patience from now, 250 ms at least: what had
// the process running is not known, so the other end is given its whole time again.
// Else it is 5 ms from now.
func Extended(due time.Time, patience time.Duration) time.Time {
	if Late(due) {
		return time.Now().Add(max(patience, grace))
	}
	return time.Now().Add(instant)
}

// Conn is a connection whose reads end at their deadline, but not before what was
// in the socket by then has been read: a deadline that a Read finds passed is
// extended, once. Writes are treated alike, so that an exchange can go on. Whatever
// sets the next deadline sets it as usual.
//
// It goes below TLS, which never recovers from a timeout. Methods beyond those of a
// net.Conn are reached through its field.
type Conn struct {
	net.Conn
	patience time.Duration // immutable

	mu    sync.Mutex // a leaf lock
	read  deadline   // guarded by mu
	write deadline   // guarded by mu
}

// deadline is one of the two that a connection has.
type deadline struct {
	due      time.Time // zero: none
	extended bool
}

// New returns c with deadlines that look once more, for so long as [Extended] says.
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

// extend extends the deadline d that err tells of, and reports whether it is worth
// while to try again: not when err is another error or d was extended before.
func (c *Conn) extend(err error, d *deadline, set func(time.Time) error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case d.extended:
		return false
	case d.due.IsZero() || time.Now().Before(d.due): // it was set again meanwhile
		return true
	}
	d.extended = true
	return set(Extended(d.due, c.patience)) == nil
}

// Receive waits for a value from ch for so long, and reports false when none has
// come. When the time is over it looks once more: for 5 ms, or for 250 ms when it
// found that out late.
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
