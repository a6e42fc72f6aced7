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

// clusterLink is a link to a cluster. It publishes at the master that owns the channel's slot, so
// that all nodes agree on the order. With sharded publications it also subscribes there. When the
// slot moves, or the master is lost, it reports the channels as ended, and Remote asks for them
// again. Without sharding it subscribes to all channels at one node of the cluster, any of them.
type clusterLink struct {
	to      broker.Sink
	dialer  *dialer
	sharded bool
	verb    string          // PUBLISH or SPUBLISH
	sub     *conn           // nil if sharded
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	running sync.WaitGroup

	stale   atomic.Bool            // the table has proved wrong, and is read again before the next subscription
	knows   atomic.Pointer[string] // the node to ask first then; may be nil
	reading sync.Mutex             // held while the table is read; locked before mu

	batch []*broker.Publication // of Publish, kept for the next one
	asked []*node               // of Publish: the nodes that have a group
	least time.Duration         // of Publish: the shortest time it took

	// Channels without a subscription are reported as ended before mu is unlocked, because a
	// publisher looks up the owner first, and then whether the channel is deaf.
	mu       sync.Mutex // locked before the table's of Remote
	owner    []*node    // by slot: as the last table or a later answer of a master says; nil without an owner
	nodes    map[string]*node
	channels map[int]map[string]struct{} // by slot: channels subscribed to, or asked for, at the slot's owner, if sharded
	ended    int                         // how many subscriptions have ended
	quiet    time.Time                   // until then, nothing is published
}

var _ broker.HistoryLink = (*clusterLink)(nil)

// openCluster makes a link to the cluster of c, and also returns the masters.
func openCluster(ctx context.Context, to broker.Sink, d *dialer, c *conn) (_ broker.Link, masters []string, err error) {
	t, err := readTable(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	d.timeout = min(d.timeout, nodeTimeout) // some nodes may be unreachable, and others wait
	d.keep = d.keep.inCluster()
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

// Close ends the connections. Calls that are under way fail.
func (l *clusterLink) Close() {
	l.stop()
	l.running.Wait()
	if l.sub != nil {
		l.sub.close()
	}
}

// follow applies a new table. It closes the connections to nodes that are no longer masters before
// it asks other nodes, so that no publication is received twice. The caller holds reading.
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

// retire ends the nodes that own nothing, and reports whether one of them was connected.
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

// moved notes that from no longer owns slot and has named the owner; to is empty when the owner has
// no address. The caller holds mu.
func (l *clusterLink) moved(slot int, from *node, to string) {
	l.suspect(to)
	if to != "" && to != from.addr && l.owner[slot] == from {
		l.give(slot, l.node(to))
	}
}

// leave forgets the channels of a slot, reports their subscriptions as ended, and returns how many
// there were. The caller holds mu.
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

// Subscribe asks each channel's master, and does not wait for a slow one. An unreachable master
// ends its channels, not the link.
func (l *clusterLink) Subscribe(ctx context.Context, channels []string) error {
	if !l.sharded {
		return l.sub.change(ctx, "SUBSCRIBE", channels)
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	return l.ask(ctx, "SSUBSCRIBE", channels, l.place)
}

// Flush implements broker.Link. A master that is lost has nothing left to send.
func (l *clusterLink) Flush(ctx context.Context) error {
	if l.sub != nil {
		return l.sub.caughtUp(ctx)
	}
	var subs []*conn
	l.mu.Lock()
	for _, n := range l.nodes {
		if n.sub != nil {
			subs = append(subs, n.sub)
		}
	}
	l.mu.Unlock()
	var flushing sync.WaitGroup
	for _, sub := range subs {
		flushing.Go(func() { _ = sub.caughtUp(ctx) })
	}
	flushing.Wait()
	return ctx.Err()
}

// Unsubscribe unsubscribes at the masters where the channels were asked for.
func (l *clusterLink) Unsubscribe(ctx context.Context, channels []string) error {
	if !l.sharded {
		return l.sub.change(ctx, "UNSUBSCRIBE", channels)
	}
	return l.ask(ctx, "SUNSUBSCRIBE", channels, l.withdraw)
}

// place notes channels of a slot, and returns the connection to subscribe on. It returns nil when
// the master has no connection yet, or the channels have ended. The caller holds mu.
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

// withdraw forgets channels of a slot, and returns the connection to unsubscribe on, or nil. The
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

// ask groups channels by slot, because a command may only have channels of one slot. It sends the
// commands on the connections that at returns. It returns when they are written, but waits only
// briefly for each node. A connection that ends first ends its subscriptions too.
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
