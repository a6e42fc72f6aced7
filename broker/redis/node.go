package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

const (
	nodeTimeout = 2 * time.Second // to connect to a node of a cluster
	nodeRest    = 3 * time.Second // the mean time until the next attempt
	maxHangs    = 3               // how often the rest of a node that hangs repeatedly doubles
)

// node is a master of a cluster: a connection for publishing; with sharded publications, one for the
// subscriptions to channels of its slots; with history, one to read it. It has all or none: when one is
// lost, the others are closed. A goroutine of the node opens them, and opens them again, so that a slow
// or unreachable node delays only those who need it.
//
// It is the Sink of its subscriptions, and passes most calls to the link's.
type node struct {
	broker.Sink // the link's
	l           *clusterLink
	addr        string
	ctx         context.Context // ends with the node
	stop        context.CancelFunc
	done        chan struct{}         // closed when run has returned
	group       []*broker.Publication // used by the publishing goroutine only

	// Guarded by clusterLink.mu. A node without connections rests, once the first attempt to open
	// them is over: publications do not wait for a later attempt, because others wait behind them.
	pair                      // all are nil without connections
	unreachable error         // why there are no connections: broker.ErrNotYet when the node answers, else ErrUnreachable
	opening     chan struct{} // closed and set to nil when the first attempt to open them is over
}

// node returns the node at an address, and opens its connections in the background. The caller
// holds mu.
func (l *clusterLink) node(addr string) *node {
	n := l.nodes[addr]
	if n == nil {
		n = &node{Sink: l.to, l: l, addr: addr, done: make(chan struct{}), opening: make(chan struct{})}
		n.ctx, n.stop = context.WithCancel(l.ctx)
		l.nodes[addr] = n
		l.running.Go(n.run)
	}
	return n
}

// run opens the connections, and opens them again when one is lost, until the node ends. It rests
// before the next attempt, unless the connections lasted.
func (n *node) run() {
	defer close(n.done)
	for hangs, said := 0, false; ; {
		began := time.Now()
		opened, cause := n.serve()
		if n.ctx.Err() != nil {
			return
		}
		ended, reached := n.down(cause)
		switch {
		case opened:
			n.l.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause, "subscriptions", ended)
			if n.l.sharded && !reached {
				n.Sink.Lost(errNoMaster)
			}
		case !said: // logged once, until the node was reached again
			n.l.dialer.log.Error("a node of the broker's cluster cannot be reached, trying again", "err", cause)
		}
		said = !opened
		switch {
		case opened && errors.Is(cause, link.ErrNoAnswer):
			hangs++
		case opened && time.Since(began) > nodeRest:
			hangs = 0
			continue
		}
		link.Pause(n.ctx, nextRest(hangs, rand.Float64()))
	}
}

// nextRest returns a rest between its shortest (at = 0) and its longest (at = 1). It is random, so
// that the nodes of a service differ. It grows for a server that accepts logins and then does not
// answer.
func nextRest(hangs int, at float64) time.Duration {
	d := nodeRest/2 + time.Duration(at*float64(nodeRest))
	return d << min(max(hangs-1, 0), maxHangs)
}

// serve opens the connections and returns why that failed, or why one was lost.
func (n *node) serve() (opened bool, cause error) {
	var to broker.Sink // nil where publications are not sharded
	if n.l.sharded {
		to = n
	}
	p, err := n.l.dialer.connect(n.ctx, n.addr, to)
	if err != nil {
		return false, err
	}
	gone := make(chan error, 2)
	p.use(false, func(cause error) { gone <- cause })
	n.up(p)
	select {
	case cause = <-gone:
	case <-n.ctx.Done():
	}
	p.close()
	return true, cause
}

// up publishes the connections to the other goroutines, and subscribes to the channels that waited.
func (n *node) up(p pair) {
	n.l.mu.Lock()
	n.pair = p
	n.opened()
	for slot, channels := range n.l.channels {
		if n.l.owner[slot] == n {
			names := slices.Collect(maps.Keys(channels))
			p.sub.ask("SSUBSCRIBE", slices.Collect(slices.Chunk(names, broker.MaxBatch))...)
		}
	}
	n.l.mu.Unlock()
	n.Returned()
}

// opened notes that the first attempt to open the connections is over. The caller holds mu.
func (n *node) opened() {
	if n.opening != nil {
		close(n.opening)
		n.opening = nil
	}
}

// down notes that there are no connections. It returns how many subscriptions have ended, and
// whether another master is connected. It reports the ends before mu is unlocked, because a
// publisher asks whether the channel is deaf.
//
// Without any master the link is lost, because masters come back one by one, and to each node in
// another order.
func (n *node) down(cause error) (ended int, reached bool) {
	l := n.l
	l.suspect("")
	l.mu.Lock()
	defer l.mu.Unlock()
	n.pair = pair{}
	n.opened()
	n.unreachable = broker.ErrUnreachable
	if _, answers := errors.AsType[respError](cause); answers {
		n.unreachable = broker.ErrNotYet
	}
	cause = fmt.Errorf("%w: %w", n.unreachable, cause)
	for slot := range l.channels {
		if l.owner[slot] == n {
			ended += l.leave(slot, cause)
		}
	}
	for _, other := range l.nodes {
		reached = reached || other.pub != nil
	}
	return ended, reached
}

// ready returns the connection to publish on. It waits for the first attempt to open it, and
// returns nil when that fails, or while the node rests.
func (n *node) ready(ctx context.Context) *conn {
	n.l.mu.Lock()
	pub, opening := n.pub, n.opening
	n.l.mu.Unlock()
	if opening == nil {
		return pub
	}
	select {
	case <-opening:
		return n.ready(ctx)
	case <-n.ctx.Done():
	case <-ctx.Done():
	}
	return nil
}

// subscriber returns the connection for subscriptions, or nil.
func (n *node) subscriber() *conn {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	return n.sub
}

// publish publishes the group and sets the outcomes.
func (n *node) publish(ctx context.Context) {
	if pub := n.ready(ctx); pub != nil {
		pub.publish(ctx, n.l.verb, n.group)
		return
	}
	cause := errNodeResting
	if ctx.Err() != nil {
		cause = whyOver(ctx)
	}
	cause = fmt.Errorf("%w: %w", broker.ErrDown, cause)
	for _, pub := range n.group {
		pub.Err = cause
	}
}

// Confirmed passes the call on, unless the channel has left the node.
func (n *node) Confirmed(channel string) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if n.has(channel) {
		n.Sink.Confirmed(channel)
	}
}

// has reports whether a channel is subscribed to, or asked for, at n. The caller holds mu.
func (n *node) has(channel string) bool {
	slot := slotOf(channel)
	_, asked := n.l.channels[slot][channel]
	return asked && n.l.owner[slot] == n
}

// Ended handles the end of a subscription, most often because the slot has moved: an unsolicited end,
// or MOVED. The channel has no subscription then, and Remote asks at the new master at once.
func (n *node) Ended(channel string, cause error) {
	l := n.l
	l.mu.Lock()
	defer l.mu.Unlock()
	refusal, _ := errors.AsType[respError](cause)
	_, to, moved := refusal.moved(n.addr)
	switch {
	case cause == broker.ErrMoved:
		l.suspect(n.addr) // a server that gives a slot away knows the new owner
	case moved:
		l.moved(slotOf(channel), n, to)
		cause = broker.ErrMoved
	case refusal.unreachable():
		l.suspect("")
		cause = fmt.Errorf("%w: %w", broker.ErrNotYet, cause)
	}
	if n.has(channel) {
		l.forget(channel)
		l.ended++
		n.Sink.Ended(channel, cause)
	}
}
