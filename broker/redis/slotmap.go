package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker"
)

// slotMap is which master of a cluster owns what, as its nodes say.
type slotMap struct {
	dialer *dialer
	slots  atomic.Pointer[slotTable] // never nil; what it points to is immutable
	stale  atomic.Bool               // the table has proved wrong: it is to be read again before it is used
	knows  atomic.Pointer[string]    // who is asked first then; may be nil
	before func(t *slotTable)        // called before a new table is used; may be nil
	after  func()                    // called when another table is used; may be nil

	reading sync.Mutex           // held while the table is read
	silent  map[string]time.Time // when a master could not be asked last; guarded by reading
}

// newSlotMap reads the table from the node that conn leads to.
func newSlotMap(ctx context.Context, d *dialer, conn *serverConn) (*slotMap, error) {
	if err := d.clusterUp(ctx, conn); err != nil {
		return nil, err
	}
	t, err := d.readSlots(ctx, conn)
	if err != nil {
		return nil, err
	}
	m := &slotMap{dialer: d, silent: map[string]time.Time{}}
	m.slots.Store(t)
	return m, nil
}

// suspect notes that the table has proved wrong, and which node knows better, if any does.
func (m *slotMap) suspect(knows string) {
	if knows != "" {
		m.knows.Store(&knows)
	}
	m.stale.Store(true)
}

// readSlots asks a node who owns what.
func (d *dialer) readSlots(ctx context.Context, conn *serverConn) (t *slotTable, err error) {
	err = conn.during(ctx, d.o.timeout, func() error {
		r, err := conn.call("CLUSTER", "SLOTS")
		if err == nil {
			t, err = parseSlots(r, conn.addr)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("redis at %s: its cluster: %w", conn.addr, err)
	}
	return t, err
}

// clusterUp returns an error when a node says that the cluster is down. So does one
// that sees only a minority of it, whose word on who owns what is old.
func (d *dialer) clusterUp(ctx context.Context, conn *serverConn) error {
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
func (d *dialer) cutOff(ctx context.Context, addr string) error {
	conn, _, err := d.login(ctx, addr, d.o.user, d.o.password)
	if err != nil {
		return nil
	}
	defer conn.Close()
	return d.clusterUp(ctx, conn)
}

// login opens a connection to one node, with less patience than for a whole link.
func (m *slotMap) login(ctx context.Context, addr string) (*serverConn, serverInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	return m.dialer.login(ctx, addr, m.dialer.o.user, m.dialer.o.password)
}

// connect is login for who knows what the node is.
func (m *slotMap) connect(ctx context.Context, addr string) (*serverConn, error) {
	conn, _, err := m.login(ctx, addr)
	return conn, err
}

// allShard reports whether every master that answers knows sharded publications. When
// none answers, that is an error: a node that guesses wrong is heard by no other one.
func (m *slotMap) allShard(ctx context.Context) (bool, error) {
	masters := m.slots.Load().masters
	sharded, failed := make([]bool, len(masters)), make([]error, len(masters))
	var asking sync.WaitGroup
	for i, addr := range masters {
		asking.Go(func() { sharded[i], failed[i] = m.shards(ctx, addr) })
	}
	asking.Wait()
	all, answered := true, false
	for i := range masters {
		if failed[i] == nil {
			all, answered = all && sharded[i], true
		}
	}
	if !answered {
		return false, fmt.Errorf("no master says whether the cluster has sharded publications; the DSN may say sharded=yes or no: %w", errors.Join(failed...))
	}
	return all, nil
}

// shards reports whether a master knows sharded publications.
func (m *slotMap) shards(ctx context.Context, addr string) (bool, error) {
	conn, server, err := m.login(ctx, addr)
	if err != nil {
		return false, err
	}
	_ = conn.Close()
	major, _, _ := strings.Cut(server.version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return false, fmt.Errorf("redis at %s does not say its version", addr)
	}
	return n >= 7, nil
}

// refresh reads the table anew, from the first node that answers. A node that takes its
// time is waited for, and another asked beside it. The caller holds reading.
func (m *slotMap) refresh(ctx context.Context) error {
	m.stale.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	type answer struct {
		addr string
		t    *slotTable
		err  error
	}
	nodes := m.candidates()
	answers := make(chan answer, len(nodes))
	asked, failed := 0, []error(nil)
	late := time.NewTicker(lateAfter)
	defer late.Stop()
	for len(failed) < len(nodes) {
		if asked < len(nodes) && ctx.Err() == nil {
			addr := nodes[asked]
			asked++
			asking.Go(func() {
				t, err := m.readFrom(ctx, addr)
				answers <- answer{addr, t, err}
			})
		} else if asked == len(failed) {
			break
		}
		select {
		case a := <-answers:
			if a.err == nil {
				maps.DeleteFunc(m.silent, func(addr string, _ time.Time) bool { return addr == a.addr || !a.t.owns(addr) })
				if m.before != nil {
					m.before(a.t)
				}
				if old := m.slots.Swap(a.t); m.after != nil && a.t.owner != old.owner {
					m.after()
				}
				return nil
			}
			m.silent[a.addr] = time.Now()
			failed = append(failed, a.err)
		case <-late.C:
		}
	}
	return fmt.Errorf("no node of the cluster answers: %w", errors.Join(failed...))
}

// renew reads the table anew if it has proved wrong, until ctx or link ends.
func (m *slotMap) renew(ctx, link context.Context) error {
	if !m.stale.Load() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(link, cancel)()
	m.reading.Lock()
	defer m.reading.Unlock()
	if !m.stale.Load() {
		return nil
	}
	return m.refresh(ctx)
}

// candidates returns the nodes to ask: the masters in random order, so that many
// nodes of ours do not all ask the same one, but those that could not be asked
// behind the others, and what the DSN says at the end. The caller holds reading.
func (m *slotMap) candidates() []string {
	masters := slices.Clone(m.slots.Load().masters)
	rand.Shuffle(len(masters), func(i, j int) { masters[i], masters[j] = masters[j], masters[i] })
	slices.SortStableFunc(masters, func(a, b string) int {
		return cmp.Compare(m.silent[a].Unix(), m.silent[b].Unix()) // long ago for those that could be asked
	})
	if knows := m.knows.Swap(nil); knows != nil {
		masters = append([]string{*knows}, masters...)
	}
	return append(masters, m.dialer.o.addrs...)
}

// readFrom reads the table from one node.
func (m *slotMap) readFrom(ctx context.Context, addr string) (*slotTable, error) {
	conn, _, err := m.login(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := m.dialer.clusterUp(ctx, conn); err != nil {
		return nil, err
	}
	return m.dialer.readSlots(ctx, conn)
}

// watch runs check, with reading held, at every watchInterval, and within a second
// when the table has proved wrong; the first error is the end of the link.
func (m *slotMap) watch(ctx context.Context, to broker.Sink, check func(context.Context) error) {
	const step = time.Second
	since := time.Duration(0)
	watchEvery(ctx, to, step, func(ctx context.Context) error {
		if since += step; since < watchInterval && !m.stale.Load() {
			return nil
		}
		since = 0
		m.reading.Lock()
		defer m.reading.Unlock()
		ctx, cancel := context.WithTimeout(ctx, broker.SubscribeTimeout)
		defer cancel()
		return check(ctx)
	})
}
