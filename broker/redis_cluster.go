package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// How patient a link to a cluster is with one of its nodes.
const (
	redisLate        = 250 * time.Millisecond // for its word on who owns what, until another is asked too
	redisNodeTimeout = 2 * time.Second        // to reach it
	redisNodeRest    = 3 * time.Second        // until it is tried again
	redisNodePublish = 3 * time.Second        // to answer publications; less than publishTimeout
)

var errNodeResting = errors.New("the node of the cluster could not be reached a moment ago, or did not answer")

// redisCluster is a link to a cluster by sharded publications: each channel is
// subscribed to at the master that owns its slot. When that changes, or a master is
// lost, the channels concerned are told to have ended; Remote asks for them again.
type redisCluster struct {
	to      sink
	m       *redisMap
	pub     *redisPublisher
	stop    context.CancelFunc // ends watch
	running sync.WaitGroup

	rest map[string]time.Time // until when a master that could not be reached is left alone; guarded by redisMap.reading

	mu     sync.Mutex // behind redisMap.reading; not held while to is called
	closed bool
	nodes  map[string]*redisMaster // by address
	where  map[string]*redisMaster // by channel: where it was asked for
}

// redisMaster is the connection to one master. It implements sink: what its
// subscriber tells goes to the link's.
type redisMaster struct {
	l    *redisCluster
	addr string
	sub  *redisSubscriber
	gone bool // guarded by redisCluster.mu
}

var (
	_ link = (*redisCluster)(nil)
	_ sink = (*redisMaster)(nil)
)

// openCluster makes a link to the cluster that conn leads to: a redisCluster where
// publications are sharded, and otherwise one that subscribes by conn, at any node,
// and publishes at the master of the channel's slot, so that all nodes of ours agree
// on the order. It returns the masters besides. conn is the link's, unless there is an
// error.
func openCluster(ctx context.Context, to sink, d *redisDialer, conn *redisConn) (_ link, masters []string, err error) {
	m, err := newRedisMap(ctx, d, conn)
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
	watching, stop := context.WithCancel(context.Background())
	if !sharded {
		l := &redisLink{to: to, pub: newRedisPublisher(m, "PUBLISH"), addr: conn.addr, sub: newRedisSubscriber(conn, to), stop: stop}
		l.running.Go(func() {
			m.watch(watching, to, func(ctx context.Context) error {
				if err := d.cutOff(ctx, conn.addr); err != nil {
					return err
				}
				return m.refresh(ctx)
			})
		})
		return l, masters, nil
	}
	_ = conn.Close()
	l := &redisCluster{to: to, m: m, pub: newRedisPublisher(m, "SPUBLISH"), stop: stop, rest: map[string]time.Time{}, nodes: map[string]*redisMaster{}, where: map[string]*redisMaster{}}
	l.running.Go(func() { m.watch(watching, to, l.refresh) })
	return l, masters, nil
}

// refresh reads the table anew, and gives up the connections to nodes that own nothing
// any more: what was subscribed to there must not be heard twice. The caller holds
// reading.
func (l *redisCluster) refresh(ctx context.Context) error {
	before := l.m.slots.Load()
	if err := l.m.refresh(ctx); err != nil {
		return err
	}
	t := l.m.slots.Load()
	if t.owner != before.owner {
		defer l.to.returned()
	}
	l.mu.Lock()
	var retired []*redisMaster
	for addr, n := range l.nodes {
		if !t.owns(addr) {
			retired = append(retired, n)
		}
	}
	l.mu.Unlock()
	for _, n := range retired {
		n.sub.close()
		n.lost(errors.New("the node of the cluster owns no slots any more"))
	}
	return nil
}

// subscribe asks each channel's master. A master that cannot be reached ends its
// channels, not the link.
func (l *redisCluster) subscribe(ctx context.Context, channels []string) error {
	defer context.AfterFunc(ctx, l.stop)() // watch may hold reading, and the link is of no use any more
	l.m.reading.Lock()
	defer l.m.reading.Unlock()
	if l.m.stale.Load() {
		if err := l.refresh(ctx); err != nil {
			return err
		}
	}
	for addr, groups := range l.bySlot(channels) {
		n, err := l.node(ctx, addr)
		if err == nil {
			err = l.at(n, groups)
		}
		if err != nil {
			if err != errNodeResting { // which is no news
				l.m.stale.Store(true)
			}
			away := fmt.Errorf("%w: %w", errAway, err)
			for _, group := range groups {
				for _, channel := range group {
					l.to.ended(channel, away)
				}
			}
			continue
		}
		if err := n.sub.ask(ctx, "SSUBSCRIBE", groups...); err != nil {
			n.lost(err)
		}
	}
	return ctx.Err()
}

// bySlot sorts channels by master, and those of one slot together: one command may
// only have such. The caller holds reading.
func (l *redisCluster) bySlot(channels []string) map[string][][]string {
	slots := map[int][]string{}
	for _, channel := range channels {
		slot := slotOf(channel)
		slots[slot] = append(slots[slot], channel)
	}
	byMaster := map[string][][]string{}
	t := l.m.slots.Load()
	for slot, group := range slots {
		addr := t.owner[slot]
		byMaster[addr] = append(byMaster[addr], group)
	}
	return byMaster
}

// node returns the connection to a master, which it opens if need be. The caller
// holds reading.
func (l *redisCluster) node(ctx context.Context, addr string) (*redisMaster, error) {
	l.mu.Lock()
	n := l.nodes[addr]
	l.mu.Unlock()
	switch {
	case n != nil:
		return n, nil
	case addr == "":
		return nil, errNoOwner
	case time.Now().Before(l.rest[addr]):
		return nil, errNodeResting
	}
	conn, _, err := l.m.login(ctx, addr)
	if err != nil {
		if l.rest[addr].IsZero() { // said once, until it was reached again
			l.m.dialer.log.Error("a node of the broker's cluster cannot be reached, trying again", "err", err)
		}
		l.rest[addr] = time.Now().Add(redisNodeRest)
		l.m.silent[addr] = time.Now()
		return nil, err
	}
	delete(l.rest, addr)
	delete(l.m.silent, addr)
	n = &redisMaster{l: l, addr: addr}
	defer l.to.returned() // with nothing locked
	l.mu.Lock()
	defer l.mu.Unlock()
	n.sub = newRedisSubscriber(conn, n)
	l.nodes[addr] = n
	return n, nil
}

// at notes where channels are asked for.
func (l *redisCluster) at(n *redisMaster, groups [][]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.gone {
		return errNodeResting
	}
	for _, group := range groups {
		for _, channel := range group {
			l.where[channel] = n
		}
	}
	return nil
}

// unsubscribe tells the nodes where the channels were asked for.
func (l *redisCluster) unsubscribe(ctx context.Context, channels []string) error {
	type place struct {
		n    *redisMaster
		slot int
	}
	places := map[place][]string{}
	l.mu.Lock()
	for _, channel := range channels {
		if n := l.where[channel]; n != nil {
			p := place{n, slotOf(channel)}
			places[p] = append(places[p], channel)
			delete(l.where, channel)
		}
	}
	l.mu.Unlock()
	byNode := map[*redisMaster][][]string{}
	for p, group := range places {
		byNode[p.n] = append(byNode[p.n], group)
	}
	for n, groups := range byNode {
		if err := n.sub.ask(ctx, "SUNSUBSCRIBE", groups...); err != nil {
			n.lost(err)
		}
	}
	return ctx.Err()
}

func (l *redisCluster) publish(ctx context.Context, batch []publication) { l.pub.publish(ctx, batch) }

func (l *redisCluster) close() {
	l.stop()
	l.pub.close()
	l.mu.Lock()
	l.closed = true
	var nodes []*redisMaster
	for _, n := range l.nodes {
		nodes = append(nodes, n)
	}
	l.mu.Unlock()
	for _, n := range nodes {
		n.sub.close()
	}
	l.running.Wait()
}

func (n *redisMaster) received(channel, content []byte) { n.l.to.received(channel, content) }

func (n *redisMaster) confirmed(channel string) { n.l.to.confirmed(channel) }

func (n *redisMaster) returned() { n.l.to.returned() }

// ended is a slot that moved away, most often.
func (n *redisMaster) ended(channel string, cause error) {
	l := n.l
	if refusal, ok := errors.AsType[respError](cause); !ok || !strings.HasPrefix(string(refusal), "NOPERM") {
		l.m.stale.Store(true) // but not for what a user may not: anybody can ask for that, all the time
	}
	l.mu.Lock()
	here := l.where[channel] == n
	if here {
		delete(l.where, channel)
	}
	l.mu.Unlock()
	if here {
		l.to.ended(channel, cause)
	}
}

// lost ends the channels of one node.
func (n *redisMaster) lost(cause error) {
	l := n.l
	l.m.stale.Store(true)
	l.mu.Lock()
	if n.gone || l.closed {
		l.mu.Unlock()
		return
	}
	n.gone = true
	delete(l.nodes, n.addr)
	var channels []string
	for channel, at := range l.where {
		if at == n {
			channels = append(channels, channel)
			delete(l.where, channel)
		}
	}
	l.running.Go(n.sub.close) // elsewhere: it waits for goroutines that may be who calls
	l.mu.Unlock()
	l.m.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause, "subscriptions", len(channels))
	away := fmt.Errorf("%w: %w", errAway, cause)
	for _, channel := range channels {
		l.to.ended(channel, away)
	}
}
