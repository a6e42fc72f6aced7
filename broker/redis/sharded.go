package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wsify/broker"
)

// How patient a link to a cluster is with one of its nodes.
const (
	lateAfter          = 250 * time.Millisecond // for it to read, or to say who owns what, until we go on to another one
	nodeTimeout        = 2 * time.Second        // to reach it
	nodeRest           = 3 * time.Second        // until it is tried again
	nodePublishTimeout = 3 * time.Second        // to answer publications; less than PublishTimeout
)

var (
	errNoMaster    = errors.New("no master of the cluster is reached any more")
	errNodeResting = errors.New("the node of the cluster could not be reached a moment ago, or did not answer")
)

// shardedLink is a link to a cluster by sharded publications: each channel is
// subscribed to at the master that owns its slot. When that changes, or a master is
// lost, the channels concerned are told to have ended; Remote asks for them again.
type shardedLink struct {
	to      broker.Sink
	m       *slotMap
	pub     *clusterPublisher
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	running sync.WaitGroup // watch

	// What is not at home any more is told to have ended before mu is unlocked, since who
	// publishes asks for the home first, and for whether anybody is deaf then.
	mu      sync.Mutex // before the table's of Remote
	masters map[string]*master
	slots   map[int]*slotHome
}

// slotHome is where the channels of a slot are subscribed to, or asked for: all at one
// master, so that none is heard twice.
type slotHome struct {
	at       *master
	channels map[string]struct{}
}

var _ broker.Link = (*shardedLink)(nil)

// openCluster makes a link to the cluster that conn leads to: a shardedLink where
// publications are sharded, and otherwise one that subscribes by conn, at any node,
// and publishes at the master of the channel's slot, so that all nodes of ours agree
// on the order. It returns the masters besides. conn is the link's, unless there is an
// error.
func openCluster(ctx context.Context, to broker.Sink, d *dialer, conn *serverConn) (_ broker.Link, masters []string, err error) {
	m, err := newSlotMap(ctx, d, conn)
	if err != nil {
		return nil, nil, err
	}
	masters = m.slots.Load().masters
	sharded := d.o.sharded == "yes"
	if d.o.sharded == "auto" {
		if sharded, err = m.allShard(ctx); err != nil {
			return nil, nil, err
		}
	}
	if !sharded {
		l := newPlainLink(to, conn)
		l.pub = newClusterPublisher(m, "PUBLISH", nil)
		l.running.Go(func() {
			m.watch(l.ctx, to, func(ctx context.Context) error {
				if err := d.cutOff(ctx, l.addr); err != nil {
					return err
				}
				return m.refresh(ctx)
			})
		})
		return l, masters, nil
	}
	_ = conn.Close()
	return newShardedLink(to, m), masters, nil
}

func newShardedLink(to broker.Sink, m *slotMap) *shardedLink {
	l := &shardedLink{to: to, m: m, masters: map[string]*master{}, slots: map[int]*slotHome{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	m.before, m.after = l.follow, to.Returned
	for _, addr := range m.slots.Load().masters {
		l.master(addr)
	}
	l.pub = newClusterPublisher(m, "SPUBLISH", l)
	l.running.Go(func() { m.watch(l.ctx, to, m.refresh) })
	return l
}

// follow ends what is subscribed to at a master that does not own its slot any more, by a
// table that nobody publishes by yet, and the connections to nodes that own nothing: what
// was subscribed to there must not be heard twice.
func (l *shardedLink) follow(t *slotTable) {
	var moved, nowhere []string
	var retired []*master
	l.mu.Lock()
	for slot, home := range l.slots {
		switch t.owner[slot] {
		case home.at.addr:
		case "":
			nowhere = l.leave(nowhere, slot)
		default:
			moved = l.leave(moved, slot)
		}
	}
	for addr, n := range l.masters {
		if !t.owns(addr) {
			retired = append(retired, n)
			delete(l.masters, addr)
		}
	}
	l.end(nowhere, fmt.Errorf("%w: %w", broker.ErrAway, errNoOwner))
	l.end(moved, broker.ErrMoved)
	l.mu.Unlock()
	for _, n := range retired {
		n.subs.close()
	}
}

// moved ends what is subscribed to at another master than the one that owns the slot.
func (l *shardedLink) moved(slot int, owner string) {
	var channels []string
	l.mu.Lock()
	if home := l.slots[slot]; home != nil && home.at.addr != owner {
		channels = l.leave(nil, slot)
	}
	l.mu.Unlock()
	l.end(channels, broker.ErrMoved)
}

// leave forgets the home of a slot, and appends its channels to names. The caller holds mu.
func (l *shardedLink) leave(names []string, slot int) []string {
	for channel := range l.slots[slot].channels {
		names = append(names, channel)
	}
	delete(l.slots, slot)
	return names
}

// end tells that subscriptions are no more.
func (l *shardedLink) end(channels []string, cause error) {
	for _, channel := range channels {
		l.to.Ended(channel, cause)
	}
}

// reached reports whether there is a connection to any master. Without one the node is not up:
// the masters come back one by one, to each node of ours in another order.
func (l *shardedLink) reached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.masters {
		if sub, _, _ := n.subs.current(); sub != nil {
			return true
		}
	}
	return false
}

// Subscribe asks each channel's master. It waits for none that is slow: a master that
// cannot be reached ends its channels, not the link.
func (l *shardedLink) Subscribe(ctx context.Context, channels []string) error {
	if err := l.m.renew(ctx, l.ctx); err != nil {
		return err
	}
	t := l.m.slots.Load()
	var asked []writing
	for addr, slots := range bySlot(channels, func(slot int) string { return t.owner[slot] }) {
		if addr == "" {
			l.m.suspect("")
			for _, group := range slots {
				l.end(group, fmt.Errorf("%w: %w", broker.ErrAway, errNoOwner))
			}
			continue
		}
		asked = append(asked, l.master(addr).subscribe(slots))
	}
	return written(ctx, asked)
}

// Unsubscribe tells the masters where the channels were asked for.
func (l *shardedLink) Unsubscribe(ctx context.Context, channels []string) error {
	l.mu.Lock()
	slots := bySlot(channels, func(slot int) *master {
		if home := l.slots[slot]; home != nil {
			return home.at
		}
		return nil
	})
	for _, channel := range channels {
		if home := l.slots[slotOf(channel)]; home != nil {
			if delete(home.channels, channel); len(home.channels) == 0 {
				delete(l.slots, slotOf(channel))
			}
		}
	}
	l.mu.Unlock()
	delete(slots, nil)
	var asked []writing
	for n, groups := range slots {
		asked = append(asked, n.ask("sunsubscribe", groups))
	}
	return written(ctx, asked)
}

// bySlot sorts channels by what is theirs, and by slot: one command may only have those of
// one.
func bySlot[K comparable](channels []string, of func(slot int) K) map[K]map[int][]string {
	sorted := map[K]map[int][]string{}
	for _, channel := range channels {
		slot := slotOf(channel)
		k := of(slot)
		if sorted[k] == nil {
			sorted[k] = map[int][]string{}
		}
		sorted[k][slot] = append(sorted[k][slot], channel)
	}
	return sorted
}

// written returns when what was asked is written, but waits for no master for long.
func written(ctx context.Context, asked []writing) error {
	patient, cancel := context.WithTimeout(ctx, lateAfter)
	defer cancel()
	for _, a := range asked {
		if a.of != nil {
			a.of.await(patient, a.written)
		}
	}
	return ctx.Err()
}

func (l *shardedLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.pub.publish(ctx, batch)
}

func (l *shardedLink) Close() {
	l.stop()
	l.running.Wait() // it may begin with a master
	l.pub.close()
	l.mu.Lock()
	masters := l.masters
	l.masters = map[string]*master{}
	l.mu.Unlock()
	for _, n := range masters {
		n.subs.close()
	}
}
