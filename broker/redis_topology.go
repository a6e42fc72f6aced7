package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

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

// clusterUp returns an error when a node says that the cluster is down. So does one
// that sees only a minority of it, whose word on who owns what is old.
func (d *redisDialer) clusterUp(ctx context.Context, conn *redisConn) error {
	var r respReply
	err := conn.during(ctx, d.o.timeout, func() (err error) {
		r, err = conn.call("CLUSTER", "INFO")
		if _, refused := errors.AsType[respError](err); refused {
			err = nil // who may not ask has to believe
		}
		return err
	})
	if err == nil && strings.Contains(r.text, "cluster_state:fail") {
		err = errors.New("the cluster is down, or this node does not see most of it")
	}
	if err != nil {
		return fmt.Errorf("redis at %s: %w", conn.addr, err)
	}
	return nil
}

// cutOff returns an error when the node at addr says that the cluster is down. A node
// that does not answer is noticed by who is connected to it.
func (d *redisDialer) cutOff(ctx context.Context, addr string) error {
	conn, _, err := d.login(ctx, addr, d.o.user, d.o.password)
	if err != nil {
		return nil
	}
	defer conn.Close()
	return d.clusterUp(ctx, conn)
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

// login opens a connection to one node, with less patience than for a whole link.
func (l *redisCluster) login(ctx context.Context, addr string) (*redisConn, redisServer, error) {
	ctx, cancel := context.WithTimeout(ctx, redisNodeTimeout)
	defer cancel()
	return l.dialer.login(ctx, addr, l.dialer.o.user, l.dialer.o.password)
}

// refresh reads the table anew, from the first node that answers. The caller holds
// reading.
func (l *redisCluster) refresh(ctx context.Context) error {
	l.stale.Store(false)
	var failed []error
	for _, addr := range l.candidates() {
		slots, masters, err := l.readFrom(ctx, addr)
		if err == nil {
			l.slots = slots
			l.retire(masters)
			return nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("no node of the cluster answers: %w", errors.Join(failed...))
}

// candidates returns the nodes to ask: the masters in random order, so that many
// nodes of ours do not all ask the same one, but those that could not be reached
// behind the others, and what the DSN says at the end. The caller holds reading.
func (l *redisCluster) candidates() []string {
	l.mu.Lock()
	masters := slices.Clone(l.masters)
	l.mu.Unlock()
	rand.Shuffle(len(masters), func(i, j int) { masters[i], masters[j] = masters[j], masters[i] })
	slices.SortStableFunc(masters, func(a, b string) int {
		return cmp.Compare(l.rest[a].Unix(), l.rest[b].Unix()) // long ago for those that could be reached
	})
	return append(masters, l.dialer.o.addrs...)
}

// readFrom reads the table from one node.
func (l *redisCluster) readFrom(ctx context.Context, addr string) (*redisSlotTable, []string, error) {
	conn, _, err := l.login(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := l.dialer.clusterUp(ctx, conn); err != nil {
		return nil, nil, err
	}
	return l.dialer.readSlots(ctx, conn)
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
	watchRedis(ctx, l.to, func(ctx context.Context) error {
		l.reading.Lock()
		defer l.reading.Unlock()
		reading, cancel := context.WithTimeout(ctx, subscribeTimeout)
		defer cancel()
		return l.refresh(reading)
	})
}
