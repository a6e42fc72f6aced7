package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker"
)

var (
	errNoMaster    = errors.New("no master of the cluster is reached any more")
	errNodeResting = errors.New("the node of the cluster could not be reached a moment ago, or did not answer")
	errNoOwner     = errors.New("no node of the cluster owns the channel's slot")
	errSlotMove    = errors.New("the channel's slot is on its way from one node of the cluster to another")
)

// clusterLink is a link to a cluster. What is published goes to the master that owns the
// channel's slot, so that all nodes of ours agree on the order. Where publications are
// sharded, the channel is subscribed to there as well: when the slot moves, or the master
// is lost, the channels concerned are told to have ended, and Remote asks for them again.
// Otherwise all is subscribed to at one node of the cluster, any of them.
type clusterLink struct {
	to      broker.Sink
	dialer  *dialer
	sharded bool
	verb    string          // PUBLISH or SPUBLISH
	sub     *conn           // nil if sharded
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	running sync.WaitGroup

	stale   atomic.Bool            // the table has proved wrong, and is read again before a subscription is asked for
	knows   atomic.Pointer[string] // the node that is asked first then; may be nil
	reading sync.Mutex             // held while the table is read; before mu

	batch []*broker.Publication // of Publish, kept for the next one
	asked []*node               // of Publish: those that have a group
	least time.Duration         // of Publish: how long it took when it was quickest

	// What is subscribed to nowhere any more is told to have ended before mu is unlocked,
	// since a publisher asks for the owner first, and then whether any channel is deaf.
	mu       sync.Mutex // before the table's of Remote
	owner    []*node    // by slot: the last word of the cluster, and what masters have said since; nil for nobody
	nodes    map[string]*node
	channels map[int]map[string]struct{} // by slot: what is subscribed to, or asked for, at its owner, if sharded
	ended    int                         // how often channels have left
	quiet    time.Time                   // nothing is published before
}

var _ broker.Link = (*clusterLink)(nil)

// openCluster makes a link to the cluster that c leads to, and returns the masters besides.
func openCluster(ctx context.Context, to broker.Sink, d *dialer, c *conn) (_ broker.Link, masters []string, err error) {
	t, err := readTable(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	d.timeout = min(d.timeout, nodeTimeout) // some may be unreachable, and others wait
	sharded := d.o.sharded == "yes"
	if d.o.sharded == "auto" {
		if sharded, err = d.allShard(ctx, t.masters); err != nil {
			return nil, nil, err
		}
	}
	l := newClusterLink(to, d, sharded)
	if !sharded {
		if l.sub, _, err = d.login(ctx, c.addr, to); err != nil {
			return nil, nil, err
		}
		l.sub.use(false, to.Lost)
	}
	l.follow(t)
	l.running.Go(l.watch)
	return l, t.masters, nil
}

func newClusterLink(to broker.Sink, d *dialer, sharded bool) *clusterLink {
	l := &clusterLink{to: to, dialer: d, sharded: sharded, verb: "PUBLISH", owner: make([]*node, numSlots), nodes: map[string]*node{}, channels: map[int]map[string]struct{}{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if sharded {
		l.verb = "SPUBLISH"
	}
	return l
}

// Close ends the connections. What is under way fails.
func (l *clusterLink) Close() {
	l.stop()
	l.running.Wait()
	if l.sub != nil {
		l.sub.close()
	}
}

// follow takes over a new table. What is subscribed to at a node that is no master any more
// must not be heard twice, so its connections are closed before another is asked. The
// caller holds reading.
func (l *clusterLink) follow(t *slotTable) {
	replaced := l.retire(t)
	changed := false
	l.mu.Lock()
	if replaced {
		l.quiet = time.Now().Add(overtake)
	}
	var at *node
	for slot, addr := range t.owner {
		switch {
		case addr == "":
			at = nil
		case at == nil || at.addr != addr:
			at = l.node(addr)
		}
		if l.owner[slot] != at {
			changed = true
			l.give(slot, at)
		}
	}
	l.mu.Unlock()
	if changed {
		l.to.Returned()
	}
}

// retire ends the nodes that own nothing, and reports whether any was published at.
func (l *clusterLink) retire(t *slotTable) (replaced bool) {
	var retired []*node
	l.mu.Lock()
	for addr, n := range l.nodes {
		if !t.owns(addr) {
			retired = append(retired, n)
			replaced = replaced || n.pub != nil
			delete(l.nodes, addr)
		}
	}
	l.mu.Unlock()
	for _, n := range retired {
		n.stop()
		<-n.done
	}
	return replaced
}

// give gives a slot to a node, which may be nil. The caller holds mu.
func (l *clusterLink) give(slot int, to *node) {
	l.owner[slot] = to
	cause := broker.ErrMoved
	if to == nil {
		cause = fmt.Errorf("%w: %w", broker.ErrNotYet, errNoOwner)
	}
	l.leave(slot, cause)
}

// moved notes that a node has named the owner of a slot that was its own; empty for one that
// has no name to go by. The caller holds mu.
func (l *clusterLink) moved(slot int, from *node, to string) {
	l.suspect(to)
	if to != "" && to != from.addr && l.owner[slot] == from {
		l.give(slot, l.node(to))
	}
}

// leave forgets the channels of a slot, tells that their subscriptions are no more, and
// returns how many there were. The caller holds mu.
func (l *clusterLink) leave(slot int, cause error) (ended int) {
	channels := l.channels[slot]
	delete(l.channels, slot)
	l.ended += len(channels)
	for channel := range channels {
		l.to.Ended(channel, cause)
	}
	return len(channels)
}

// forget forgets a channel. The caller holds mu.
func (l *clusterLink) forget(channel string) {
	slot := slotOf(channel)
	delete(l.channels[slot], channel)
	if len(l.channels[slot]) == 0 {
		delete(l.channels, slot)
	}
}

// Subscribe asks each channel's master. It waits for none that is slow: a master that
// cannot be reached ends its channels, not the link.
func (l *clusterLink) Subscribe(ctx context.Context, channels []string) error {
	if !l.sharded {
		return l.sub.change(ctx, "SUBSCRIBE", channels)
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	return l.ask(ctx, "SSUBSCRIBE", channels, l.place)
}

// Unsubscribe tells the masters where the channels were asked for.
func (l *clusterLink) Unsubscribe(ctx context.Context, channels []string) error {
	if !l.sharded {
		return l.sub.change(ctx, "UNSUBSCRIBE", channels)
	}
	return l.ask(ctx, "SUNSUBSCRIBE", channels, l.withdraw)
}

// place notes channels of a slot, and returns where to ask for them; nil when they are asked
// for as soon as their master has a connection, or have ended. The caller holds mu.
func (l *clusterLink) place(slot int, channels []string) *conn {
	n := l.owner[slot]
	var err error
	switch {
	case n == nil:
		l.suspect("")
		err = fmt.Errorf("%w: %w", broker.ErrNotYet, errNoOwner)
	case n.sub == nil && n.opening == nil:
		err = fmt.Errorf("%w: %w", n.unreachable, errNodeResting)
	}
	if err != nil {
		for _, channel := range channels {
			l.to.Ended(channel, err)
		}
		return nil
	}
	if l.channels[slot] == nil {
		l.channels[slot] = map[string]struct{}{}
	}
	for _, channel := range channels {
		l.channels[slot][channel] = struct{}{}
	}
	return n.sub
}

// withdraw forgets channels of a slot, and returns where to give them up; nil for nowhere. The
// caller holds mu.
func (l *clusterLink) withdraw(slot int, channels []string) *conn {
	for _, channel := range channels {
		l.forget(channel)
	}
	if n := l.owner[slot]; n != nil {
		return n.sub
	}
	return nil
}

// ask sorts channels by slot, as one command may only have those of one, and sends commands
// where at says. It returns when they are written, but waits for no node for long. What is
// not written because the connection has ended is of no use: its end is the end of the
// subscriptions.
func (l *clusterLink) ask(ctx context.Context, verb string, channels []string, at func(slot int, channels []string) *conn) error {
	bySlot := map[int][]string{}
	for _, channel := range channels {
		slot := slotOf(channel)
		bySlot[slot] = append(bySlot[slot], channel)
	}
	asked := map[*conn][][]string{}
	waits := map[*conn]<-chan struct{}{}
	l.mu.Lock()
	for slot, group := range bySlot {
		if c := at(slot, group); c != nil {
			asked[c] = append(asked[c], group)
		}
	}
	for c, groups := range asked {
		waits[c] = c.ask(verb, groups...)
	}
	l.mu.Unlock()
	patient, cancel := context.WithTimeout(ctx, lateAfter)
	defer cancel()
	for c, written := range waits {
		c.await(patient, written)
	}
	return ctx.Err()
}
