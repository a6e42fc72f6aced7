package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker/internal/link"
)

// maxHangs is how often the rest of a server that hangs again and again doubles.
const maxHangs = 3

// kept is what a keeper keeps: a subscriber or a pipeline.
type kept interface {
	comparable
	close() // ends it, and waits for what it runs
}

// keeper keeps a connection to one server: it opens one, and another when that one
// is lost, in a goroutine of its own, so that a server that is slow or unreachable holds
// up nobody but those who need it.
type keeper[C kept] struct {
	addr   string
	login  func(ctx context.Context) (*serverConn, error)
	begin  func(conn *serverConn, lost func(cause error)) C // takes over a connection; lost is called once at most
	needed func() bool                                      // whether to open another one

	// Called by the keeper's goroutine, without a lock. first says that the attempt before
	// did not fail.
	opened func(conn C)
	lost   func(cause error)
	failed func(err error, first bool)

	ctx     context.Context // ends with the keeper
	stop    context.CancelFunc
	hangs   atomic.Int32 // how often in a row the server did not answer
	running sync.WaitGroup

	mu      sync.Mutex    // after that of a pipeline
	conn    C             // the zero value while there is none
	since   time.Time     // when there was one last
	cause   error         // why it was lost
	gone    chan struct{} // closed when it is lost
	tried   chan struct{} // closed when there is one, or an attempt to open it has failed
	rested  bool          // nobody waits for the attempt: the last one failed, or the server did not answer
	failing bool          // the last attempt failed
}

// start opens the first connection in the background. The keeper ends with ctx.
func (k *keeper[C]) start(ctx context.Context) {
	k.ctx, k.stop = context.WithCancel(ctx)
	k.tried = make(chan struct{})
	k.running.Go(k.run)
}

// close ends the connection and waits for what the keeper runs.
func (k *keeper[C]) close() {
	k.stop()
	k.running.Wait()
}

// run opens connections, one behind the other.
func (k *keeper[C]) run() {
	defer k.end()
	for {
		if conn, gone := k.open(); gone != nil {
			k.hold(conn, gone)
		}
		if k.mayRest() {
			link.Pause(k.ctx, k.nextRest(rand.Float64()))
		}
		if k.ctx.Err() != nil || !k.needed() {
			return
		}
	}
}

// open opens a connection. gone is nil when that fails.
func (k *keeper[C]) open() (conn C, gone <-chan struct{}) {
	opened, err := k.login(k.ctx)
	switch {
	case err == nil:
		return k.use(opened)
	case k.ctx.Err() == nil:
		k.failed(err, k.fail())
	}
	return conn, nil
}

// use makes a connection everybody's.
func (k *keeper[C]) use(opened *serverConn) (conn C, gone <-chan struct{}) {
	k.mu.Lock() // so that lose comes behind
	defer k.mu.Unlock()
	k.gone = make(chan struct{})
	k.conn, k.since, k.cause = k.begin(opened, k.lose), time.Now(), nil
	k.rested, k.failing = false, false
	close(k.tried)
	return k.conn, k.gone
}

// hold tells that there is a connection, and when it is lost.
func (k *keeper[C]) hold(conn C, gone <-chan struct{}) {
	k.opened(conn)
	select {
	case <-gone:
	case <-k.ctx.Done():
	}
	conn.close()
	k.mu.Lock()
	cause := k.cause
	k.mu.Unlock()
	if cause != nil && k.ctx.Err() == nil {
		k.lost(cause)
	}
}

// mayRest reports whether nobody waits for the next connection.
func (k *keeper[C]) mayRest() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rested
}

// lose is called by the connection.
func (k *keeper[C]) lose(cause error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none C
	k.conn, k.cause, k.tried = none, cause, make(chan struct{})
	defer close(k.gone)
	if errors.Is(cause, link.ErrNoAnswer) {
		k.hangs.Add(1)
	}
	k.rested = errors.Is(cause, link.ErrNoAnswer) || errors.Is(cause, errLinkClosed) || time.Since(k.since) < nodeRest
}

// fail notes that an attempt has failed, and reports whether the one before had not.
func (k *keeper[C]) fail() (first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first = !k.failing
	k.rested, k.failing = true, true
	close(k.tried)
	k.tried = make(chan struct{})
	return first
}

// current returns the connection, the zero value when there is none. soon says that an
// attempt to open it is worth waiting for.
func (k *keeper[C]) current() (conn C, tried <-chan struct{}, soon bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn, k.tried, !k.rested
}

// ready returns the connection. While there is none it waits for an attempt that is worth
// it, and returns the zero value when that fails.
func (k *keeper[C]) ready(ctx context.Context) C {
	var none C
	conn, tried, soon := k.current()
	if conn != none || !soon {
		return conn
	}
	select {
	case <-tried:
	case <-ctx.Done():
	}
	conn, _, _ = k.current()
	return conn
}

// nextRest is how long a rest is, between its shortest, 0, and its longest, 1: not as long
// as that of other nodes of ours, and longer each time for a server that lets us in and
// does not answer then.
func (k *keeper[C]) nextRest(at float64) time.Duration {
	d := nodeRest/2 + time.Duration(at*float64(nodeRest))
	return d << min(max(k.hangs.Load()-1, 0), maxHangs)
}

// end notes that there will be no connection any more.
func (k *keeper[C]) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none C
	if k.conn == none && !k.rested {
		close(k.tried)
	}
	k.conn, k.rested = none, true
	k.stop()
}
