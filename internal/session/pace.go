package session

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"wsify/internal/buffer"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// A drain spreads the clients over its time, in random order. If it told all at once, all
// would reconnect at once.
const (
	drainStep  = 10 * time.Millisecond // between two steps, on average
	drainSlice = 256                   // clients that a loop tells in one turn
	drainLeast = 200                   // clients that a loop tells in a second at least, so that few clients take no time
)

// Drain makes this node refuse new clients with 503, and tells those that are connected to
// reconnect, with 1012, at an even pace over about timeout. It does not wait. The node
// stays: backends may publish, and Undrain lets clients connect again. Drain reports false
// if the node is drained already.
func (n *Node) Drain(timeout time.Duration) bool {
	n.drains.Lock()
	defer n.drains.Unlock()
	if n.draining.Swap(true) {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.endDrain = cancel
	go n.tellAll(ctx, pacedOver(timeout), (*loop).clients)
	return true
}

// Undrain ends a Drain: clients may connect again, and no further one is told to reconnect.
// It reports false if there is nothing to end.
func (n *Node) Undrain() bool {
	n.drains.Lock()
	defer n.drains.Unlock()
	if n.endDrain == nil {
		return false
	}
	n.endDrain()
	n.endDrain = nil
	n.draining.Store(false)
	return true
}

// pacedOver is the part of a drain's time over which clients are told. The rest is for the
// closing handshakes of the last ones.
func pacedOver(timeout time.Duration) time.Duration {
	return timeout - min(closeTimeout, timeout/10)
}

// tellAll tells the connections that pick returns to reconnect, all loops at the same time.
// It returns when all have been told, or when ctx ends.
func (n *Node) tellAll(ctx context.Context, over time.Duration, pick func(*loop) []uint64) {
	var running sync.WaitGroup
	for _, l := range n.loops {
		running.Go(func() { l.tellPaced(ctx, over, pick) })
	}
	running.Wait()
}

// tellPaced is tellAll for one loop. Any goroutine but the loop's may call it.
func (l *loop) tellPaced(ctx context.Context, over time.Duration, pick func(*loop) []uint64) {
	var ids []uint64
	if !l.do(ctx, func() { ids = pick(l) }) {
		return
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	begun, settles := time.Now(), l.node.broker.Asynchronous()
	for told := 0; told < len(ids); {
		some := ids[told:]
		some = some[:min(max(dueAfter(time.Since(begun), over, len(ids))-told, 0), len(some), drainSlice)]
		if ctx.Err() != nil { // what became due after the end is not told, but a step that has begun is finished
			return
		}
		if len(some) > 0 && settles {
			settles = l.do(ctx, func() { l.hold(some) }) && l.node.settle(ctx)
		}
		if len(some) > 0 && !l.do(ctx, func() { l.tell(some) }) {
			return
		}
		if told += len(some); len(some) < drainSlice {
			pause(ctx, drainStep/2+rand.N(drainStep))
		}
	}
}

// settleTimeout is how long a step of a drain waits for the engine. If it takes longer, the
// steps that follow do not wait.
const settleTimeout = time.Second

// settle waits until what clients have published is answered and has come back.
func (n *Node) settle(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return n.broker.Settle(ctx) == nil
}

// hold stops reading from these clients, so that they publish nothing more that they would
// not hear of.
func (l *loop) hold(ids []uint64) {
	for _, id := range ids {
		if c := l.net.Conn(id); c != nil && c.Open() && l.session(c).state == open {
			c.Pause()
		}
	}
}

// dueAfter returns how many of all are due after this time.
func dueAfter(passed, over time.Duration, all int) int {
	if passed >= over {
		return all
	}
	return min(all, 1+max(int(float64(all)*float64(passed)/float64(over)), int(passed.Seconds()*drainLeast)))
}

// do runs fn on the loop and waits for it. It reports false when ctx ended first; then fn
// may run later or never.
func (l *loop) do(ctx context.Context, fn func()) bool {
	done := make(chan struct{})
	l.net.Post(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// clients returns the connections of clients, everyone all connections, and others those
// that are not clients'.
func (l *loop) clients() []uint64  { return l.pick((*session).isClient) }
func (l *loop) everyone() []uint64 { return l.pick(func(*session) bool { return true }) }
func (l *loop) others() []uint64   { return l.pick(func(s *session) bool { return !s.isClient() }) }

func (l *loop) pick(wanted func(*session) bool) []uint64 {
	var ids []uint64
	l.net.Each(func(c *netpoll.Conn) {
		if wanted(l.session(c)) {
			ids = append(ids, c.ID())
		}
	})
	return ids
}

// isClient reports whether s is a client that has been upgraded, or reads a stream, and has
// not ended.
func (s *session) isClient() bool {
	return s.state == open || s.state == pinged || s.state == parked || s.state == streaming
}

// tell tells these connections to reconnect.
func (l *loop) tell(ids []uint64) {
	for _, id := range ids {
		if c := l.net.Conn(id); c != nil && c.Open() {
			l.drainOne(c)
		}
	}
}

// restart tells a client to reconnect, after all that was published to its channels.
func (l *loop) restart(c *netpoll.Conn, s *session) {
	l.hub.EachOwed(&s.subs, func(b *buffer.Buffer) {
		l.sendOne(c, b)
		b.Release()
	})
	l.end(c, s, reasonShutdown, wire.ServiceRestart, "this node restarts, reconnect")
}
