package server

import (
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// tracker knows the connections at the HTTP server, for their bound and for the
// shutdown. Its methods may be called from any goroutine.
type tracker struct {
	mu       sync.Mutex             // a leaf lock
	entered  int                    // guarded by mu
	conns    map[*httpConn]struct{} // guarded by mu
	draining bool                   // guarded by mu
	empty    chan struct{}          // closed when draining and nobody is left
}

// drainRead is how long a request may take to arrive once the shutdown has begun.
const drainRead = 2 * time.Second

// strangerIdle is how long a connection may wait for its next request after one
// that was refused for what it was.
const strangerIdle = 2 * time.Second

// enter takes one of the places, and reports false when there is none.
func (t *tracker) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entered >= maxHTTP || t.draining {
		return false
	}
	t.entered++
	return true
}

// count returns how many places are taken.
func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entered
}

func (t *tracker) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entered--
	if t.draining && t.entered == 0 {
		close(t.empty)
	}
}

func (t *tracker) track(c *httpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.busy = true // it was handed off with a request
	t.conns[c] = struct{}{}
}

func (t *tracker) untrack(c *httpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// changed notes what a connection is doing. It is fasthttp's ConnState callback.
func (t *tracker) changed(c net.Conn, state fasthttp.ConnState) {
	h, ok := c.(*httpConn)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h.busy = state == fasthttp.StateActive
}

// readDeadline sets how long c may wait for bytes. fasthttp calls it right after it
// has told that c waits for a request: during the shutdown there is to be none.
func (t *tracker) readDeadline(c *httpConn, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.busy && c.stranger.Load() {
		at = time.Now().Add(strangerIdle)
	}
	if t.draining {
		at = time.Now()
		if c.busy {
			at = at.Add(drainRead)
		}
	}
	return c.Conn.SetReadDeadline(at)
}

// drain lets requests under way be answered, ends idle connections, and returns
// when none is left. What takes longer than the timeout is cut off.
func (t *tracker) drain(timeout time.Duration) {
	t.mu.Lock()
	if t.draining {
		t.mu.Unlock()
		return
	}
	t.draining = true
	if t.entered == 0 {
		close(t.empty)
	}
	for c := range t.conns {
		at := time.Now()
		if c.busy { // else it waits for a request: that read fails now
			at = at.Add(drainRead)
		}
		_ = c.Conn.SetReadDeadline(at)
	}
	t.mu.Unlock()
	select {
	case <-t.empty:
		return
	case <-time.After(timeout):
	}
	t.mu.Lock()
	for c := range t.conns {
		_ = c.Conn.Close()
	}
	t.mu.Unlock()
	<-t.empty
}
