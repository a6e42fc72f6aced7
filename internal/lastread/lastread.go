// Package lastread lets nobody be judged by a deadline that was found late.
//
// A process that was stopped, or whose machine was, wakes up with its timers due
// and with what came meanwhile still in its sockets. Go reports a passed deadline
// before it looks into the socket, and a select takes any of the two that are
// ready. So what was in time would count as missing.
//
// [Conn] is for reads, [Receive] for outcomes that come through a chan, [Late] and
// [Grace] are for everything else that has a deadline. They cost next to nothing
// until a deadline has passed.
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

	// grace is the time for what is late by our own fault: what comes once the other
	// end, or the network, has woken up too.
	grace = 250 * time.Millisecond

	// instant is the time for one read of what is in the socket already. It is longer
	// than a read takes, for the scheduler's sake.
	instant = 5 * time.Millisecond
)

// Late reports whether what was due at that instant is only now found to be, so
// that it is not the other end's fault alone.
func Late(due time.Time) bool { return time.Since(due) > lateness }

// Grace returns how much longer to wait, once, for what was due at that instant and
// has passed: 250 ms when it was found late, else 5 ms.
func Grace(due time.Time) time.Duration {
	if Late(due) {
		return grace
	}
	return instant
}

// Conn is a connection whose reads end at their deadline, but not before what was
// in the socket by then has been read: a deadline that a Read finds passed is
// extended by Grace, once. Whatever sets the next deadline sets it as usual.
//
// It goes below TLS, which never recovers from a timeout. Writes are the
// connection's own; methods beyond those of a net.Conn are reached through it.
type Conn struct {
	net.Conn

	mu       sync.Mutex // a leaf lock
	due      time.Time  // guarded by mu; zero: none
	extended bool       // guarded by mu; due has been extended
}

// New returns c with reads that look once more.
func New(c net.Conn) *Conn { return &Conn{Conn: c} }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due, c.extended = t, false
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due, c.extended = t, false
	return c.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && c.extend() {
		return c.Conn.Read(p)
	}
	return n, err
}

// extend gives the deadline its grace, and reports false when it has had it.
func (c *Conn) extend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.extended:
		return false
	case c.due.IsZero() || time.Now().Before(c.due): // it was set again meanwhile
		return true
	}
	c.extended = true
	return c.Conn.SetReadDeadline(time.Now().Add(Grace(c.due))) == nil
}

// Receive waits for a value from ch for so long, and reports false when none has
// come. When it finds out late that the time is over, it waits for Grace once more.
func Receive[T any](ch <-chan T, timeout time.Duration) (v T, ok bool) {
	due := time.Now().Add(timeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case v = <-ch:
		return v, true
	case <-timer.C:
	}
	timer.Reset(Grace(due))
	select {
	case v = <-ch:
		return v, true
	case <-timer.C:
		return v, false
	}
}
