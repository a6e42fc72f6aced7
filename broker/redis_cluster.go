package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How patient a link to a cluster is with one of its nodes.
const (
	redisNodeTimeout = 2 * time.Second // to reach it
	redisNodeRest    = 3 * time.Second // untilRedis it is tried again
	redisNodePublish = 3 * time.Second // to answer publications; less than publishTimeout
)

var errNodeResting = errors.New("the node of the cluster could not be reached a moment ago")

// redisCluster is a link to a cluster by sharded publications: each channel is
// subscribed to at the master that owns its slot. When that changes, or a master is
// lost, the channels concerned are told to have ended; Remote asks for them again.
type redisCluster struct {
	to      sink
	dialer  *redisDialer
	pub     *redisPublisher
	stop    context.CancelFunc // ends watch
	running sync.WaitGroup

	stale atomic.Bool // the table is to be read again before it is used

	reading sync.Mutex      // held while the table is read and nodes are opened; before mu
	slots   *redisSlotTable // guarded by reading
	rest    map[string]time.Time

	mu      sync.Mutex // not held while to is called
	closed  bool
	nodes   map[string]*redisMaster // by address
	where   map[string]*redisMaster // by channel: where it was asked for
	masters []string
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
// on the order. conn is the link's, unless there is an error.
func openCluster(ctx context.Context, to sink, d *redisDialer, conn *redisConn) (link, error) {
	l := &redisCluster{to: to, dialer: d, nodes: map[string]*redisMaster{}, where: map[string]*redisMaster{}, rest: map[string]time.Time{}}
	var err error
	if l.slots, l.masters, err = d.readSlots(ctx, conn); err != nil {
		return nil, err
	}
	sharded := d.o.sharded == "yes"
	if d.o.sharded == "auto" {
		sharded = l.allShard(ctx)
	}
	l.pub = newRedisPublisher(to, d, conn.addr)
	l.pub.verb = "PUBLISH"
	if sharded {
		l.pub.verb = "SPUBLISH"
	}
	if err := l.pub.open(ctx, append([]string{conn.addr}, l.masters...)...); err != nil {
		return nil, err
	}
	var watching context.Context
	watching, l.stop = context.WithCancel(context.Background())
	if !sharded {
		one := &redisLink{to: to, pub: l.pub, addr: conn.addr, sub: newRedisSubscriber(conn, to), stop: l.stop}
		return one, nil
	}
	_ = conn.Close()
	l.running.Go(func() { l.watch(watching) })
	return l, nil
}

// readSlots asks a node who owns what.
func (d *redisDialer) readSlots(ctx context.Context, conn *redisConn) (t *redisSlotTable, masters []string, err error) {
	err = conn.during(ctx, d.o.timeout, func() error {
		r, err := conn.call("CLUSTER", "SLOTS")
		if err == nil {
			t, masters, err = parseSlots(r, conn.addr)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("redis at %s: its cluster: %w", conn.addr, err)
	}
	return t, masters, err
}

// allShard reports whether every master that can be reached knows sharded
// publications, and at least one can.
func (l *redisCluster) allShard(ctx context.Context) bool {
	var yes, no atomic.Int32
	var asking sync.WaitGroup
	for _, addr := range l.masters {
		asking.Go(func() {
			conn, server, err := l.login(ctx, addr)
			if err != nil {
				return
			}
			_ = conn.Close()
			major, _, _ := strings.Cut(server.version, ".")
			if n, err := strconv.Atoi(major); err == nil && n >= 7 {
				yes.Add(1)
			} else {
				no.Add(1)
			}
		})
	}
	asking.Wait()
	return yes.Load() > 0 && no.Load() == 0
}

// login opens a connection to one node, with less redisPatience than for a whole link.
func (l *redisCluster) login(ctx context.Context, addr string) (*redisConn, redisServer, error) {
	ctx, cancel := context.WithTimeout(ctx, redisNodeTimeout)
	defer cancel()
	return l.dialer.login(ctx, addr, l.dialer.o.user, l.dialer.o.password)
}

// refresh reads the table anew, from the first node that answers. The caller holds
// reading.
func (l *redisCluster) refresh(ctx context.Context) error {
	l.stale.Store(false)
	l.mu.Lock()
	addrs := append(append([]string(nil), l.masters...), l.dialer.o.addrs...)
	l.mu.Unlock()
	var failed []error
	for _, addr := range addrs {
		conn, _, err := l.login(ctx, addr)
		if err == nil {
			var slots *redisSlotTable
			var masters []string
			slots, masters, err = l.dialer.readSlots(ctx, conn)
			_ = conn.Close()
			if err == nil {
				l.slots = slots
				l.retire(masters)
				return nil
			}
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("no node of the cluster answers: %w", errors.Join(failed...))
}

// retire takes note of the masters, and gives up the connections to others. What was
// subscribed to there must not be heard twice.
func (l *redisCluster) retire(masters []string) {
	owns := map[string]bool{}
	for _, addr := range masters {
		owns[addr] = true
	}
	l.mu.Lock()
	l.masters = masters
	var retired []*redisMaster
	for addr, n := range l.nodes {
		if !owns[addr] {
			retired = append(retired, n)
		}
	}
	l.mu.Unlock()
	for _, n := range retired {
		n.sub.close()
		n.lost(errors.New("the node of the cluster owns no slots any more"))
	}
}

// watch reads the table now and then, and ends the link when no node answers.
func (l *redisCluster) watch(ctx context.Context) {
	tick := time.NewTicker(redisWatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.reading.Lock()
		err := l.refresh(ctx)
		l.reading.Unlock()
		if err != nil && ctx.Err() == nil {
			l.to.lost(err)
			return
		}
	}
}

// subscribe asks each channel's master. A master that cannot be reached ends its
// channels, not the link.
func (l *redisCluster) subscribe(ctx context.Context, channels []string) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	if l.stale.Load() {
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
			l.stale.Store(true)
			for _, group := range groups {
				for _, channel := range group {
					l.to.ended(channel, err)
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
	for slot, group := range slots {
		addr := l.slots[slot]
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
		return nil, errors.New("no node of the cluster owns the channel's slot")
	case time.Now().Before(l.rest[addr]):
		return nil, errNodeResting
	}
	conn, _, err := l.login(ctx, addr)
	if err != nil {
		l.rest[addr] = time.Now().Add(redisNodeRest)
		return nil, err
	}
	n = &redisMaster{l: l, addr: addr}
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

// ended is a slot that moved away, most often.
func (n *redisMaster) ended(channel string, cause error) {
	l := n.l
	l.stale.Store(true)
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
	l.stale.Store(true)
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
	for _, channel := range channels {
		l.to.ended(channel, cause)
	}
}
