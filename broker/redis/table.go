package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// lateAfter is how long a node may take to return its table of slots, or to read a command, before
// the next node is asked too.
const lateAfter = 250 * time.Millisecond

var errClusterDown = errors.New("the cluster is down, or this node does not see most of it")

// readTable asks a node for its table of slots. A node that sees only a minority of the cluster has
// an outdated table, and reports that the cluster is down.
func readTable(ctx context.Context, c *conn) (t *slotTable, err error) {
	info, err := c.call(ctx, "CLUSTER", "INFO")
	_, refused := errors.AsType[respError](err) // the user may lack permission to ask
	if err == nil && strings.Contains(info.text, "cluster_state:fail") {
		err = errClusterDown
	}
	if err == nil || refused {
		var slots respReply
		slots, err = c.call(ctx, "CLUSTER", "SLOTS")
		if err == nil {
			t, err = parseSlots(slots, c.addr)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("redis at %s: its cluster: %w", c.addr, err)
	}
	return t, nil
}

// tableOf calls readTable on a connection of its own.
func (d *dialer) tableOf(ctx context.Context, addr string) (*slotTable, error) {
	c, _, err := d.login(ctx, addr, nil)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return readTable(ctx, c)
}

// allShard reports whether every master that answers has sharded publications. It is an error when
// none answers: after a wrong guess, no other node would receive this node's publications.
func (d *dialer) allShard(ctx context.Context, masters []string) (bool, error) {
	answers, failed := askAll(masters, func(addr string) (bool, error) {
		c, server, err := d.login(ctx, addr, nil)
		if err != nil {
			return false, err
		}
		c.close()
		major, _, _ := strings.Cut(server["version"], ".")
		n, err := strconv.Atoi(major)
		if err != nil {
			return false, fmt.Errorf("redis at %s does not say its version", addr)
		}
		return n >= 7, nil
	})
	if len(answers) == 0 {
		return false, fmt.Errorf("no master says whether the cluster has sharded publications; the DSN may say sharded=yes or no: %w", failed)
	}
	return !slices.Contains(answers, false), nil
}

// askAll asks several servers at once, and returns the answers that came, in order.
func askAll[A any](addrs []string, ask func(addr string) (A, error)) (answers []A, failed error) {
	all, errs := make([]A, len(addrs)), make([]error, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() { all[i], errs[i] = ask(addr) })
	}
	asking.Wait()
	for i := range all {
		if errs[i] == nil {
			answers = append(answers, all[i])
		}
	}
	return answers, errors.Join(errs...)
}

// suspect notes that the table of slots is wrong, and which node has a newer one, if known.
func (l *clusterLink) suspect(knows string) {
	if knows != "" {
		l.knows.Store(&knows)
	}
	l.stale.Store(true)
}

// renew reads the table again if it is marked stale, until ctx or the link ends.
func (l *clusterLink) renew(ctx context.Context) error {
	if !l.stale.Load() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	l.reading.Lock()
	defer l.reading.Unlock()
	if !l.stale.Load() {
		return nil
	}
	return l.refresh(ctx)
}

// refresh takes the table of the first node that answers. While it waits for a slow node, it asks
// further ones. The caller holds reading.
func (l *clusterLink) refresh(ctx context.Context) error {
	l.stale.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	type outcome struct {
		table *slotTable
		err   error
	}
	nodes := l.candidates()
	outcomes := make(chan outcome, len(nodes))
	late := time.NewTicker(lateAfter)
	defer late.Stop()
	var failed []error
	for asked := 0; len(failed) < len(nodes); {
		if asked < len(nodes) {
			addr := nodes[asked]
			asking.Go(func() {
				t, err := l.dialer.tableOf(ctx, addr)
				outcomes <- outcome{t, err}
			})
			asked++
		}
		select {
		case <-late.C:
		case o := <-outcomes:
			if o.err == nil {
				l.follow(o.table)
				return nil
			}
			failed = append(failed, o.err)
		}
	}
	return fmt.Errorf("no node of the cluster answers: %w", errors.Join(failed...))
}

// candidates returns the nodes to ask: the one that knows best, the reachable masters, the
// unreachable ones, and those of the DSN. The masters are in a map's random order, so that many
// nodes of a service do not all ask the same one.
func (l *clusterLink) candidates() (addrs []string) {
	if knows := l.knows.Swap(nil); knows != nil {
		addrs = append(addrs, *knows)
	}
	var away []string
	l.mu.Lock()
	for addr, n := range l.nodes {
		if n.pub == nil {
			away = append(away, addr)
		} else {
			addrs = append(addrs, addr)
		}
	}
	l.mu.Unlock()
	return append(append(addrs, away...), l.dialer.o.addrs...)
}

// watch reads the table every watchInterval, and within a second after it was marked stale. The
// link is lost when no node returns a table, or when the node that has all subscriptions reports
// that the cluster is down.
func (l *clusterLink) watch() {
	const step = time.Second
	since := time.Duration(0)
	watchEvery(l.ctx, l.to, step, func(ctx context.Context) error {
		if since += step; since >= watchInterval {
			since = 0
			l.suspect("")
		}
		if !l.stale.Load() {
			return nil
		}
		ctx, cancel := link.Within(ctx, broker.SubscribeTimeout)
		defer cancel()
		if l.sub != nil {
			if _, err := readTable(ctx, l.sub); errors.Is(err, errClusterDown) {
				return err
			}
		}
		return l.renew(ctx)
	})
}
