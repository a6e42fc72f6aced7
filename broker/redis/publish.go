package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

const (
	nodePublishTimeout = 3 * time.Second // for a node to answer publications; less than PublishTimeout, because a node that hangs is not the cluster
	// maxHops is how often a publication is redirected to another master.
	maxHops = 4
	// overtake is how long publishing stops after a master was replaced. The old master silently
	// passes publications that it has taken to the new master's subscribers; later publications
	// must not arrive first.
	overtake = 250 * time.Millisecond
	// slowAnswer is the least time of an answer that counts as slow, if it also took more than
	// twice the shortest time. A master that hands its slots over answers nothing meanwhile.
	slowAnswer = 10 * time.Millisecond
)

// Publish sends the batch to the masters of the channels before it waits for any answer. A master
// that is unreachable or hangs takes nothing, while the others go on.
func (l *clusterLink) Publish(ctx context.Context, batch []broker.Publication) {
	ctx, cancel := link.Within(ctx, nodePublishTimeout)
	defer cancel()
	l.mu.Lock()
	quiet := time.Until(l.quiet)
	l.mu.Unlock()
	if quiet > 0 {
		link.Pause(ctx, quiet)
	}
	l.batch = l.batch[:0]
	for i := range batch {
		l.batch = append(l.batch, &batch[i])
	}
	todo := l.batch
	for hops := 0; len(todo) > 0; hops++ {
		todo = l.send(ctx, todo, hops < maxHops)
	}
	clear(l.batch)
}

// send gives each publication to the master of its channel, and sets the outcomes. It returns the
// publications to redirect to another master, in order.
func (l *clusterLink) send(ctx context.Context, todo []*broker.Publication, goOn bool) (again []*broker.Publication) {
	l.mu.Lock()
	for _, pub := range todo {
		l.sort(pub)
	}
	ended := l.ended
	l.mu.Unlock()
	began := time.Now()
	var sending sync.WaitGroup
	for i, n := range l.asked {
		if i == len(l.asked)-1 {
			n.publish(ctx) // without a goroutine, because it is most often the only one
		} else {
			sending.Go(func() { n.publish(ctx) })
		}
	}
	sending.Wait()
	if l.sharded {
		took := time.Since(began)
		l.doubt(ctx, ended, took > max(slowAnswer, 2*l.least))
		if l.least == 0 || took < l.least {
			l.least = took
		}
	}
	for _, n := range l.asked {
		again = append(again, n.redirected(goOn)...)
		clear(n.group)
		n.group = n.group[:0]
	}
	clear(l.asked)
	l.asked = l.asked[:0]
	return again
}

// doubt sets the outcome of publications that a master took after it had given the channel away, as
// members here may have missed them. ended is that of the link before sending. If a master was slow
// to answer, doubt first reads what it sent about subscriptions.
func (l *clusterLink) doubt(ctx context.Context, ended int, slow bool) {
	for _, n := range l.asked {
		if sub := n.subscriber(); slow && sub != nil {
			_, _ = sub.call(ctx, "PING")
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == ended {
		return
	}
	for _, n := range l.asked {
		for _, pub := range n.group {
			if pub.Err == nil && n.lacks(pub.Channel) {
				pub.Err = fmt.Errorf("%w: %w", broker.ErrUnknown, errSlotMove)
			}
		}
	}
}

// lacks reports whether a channel is subscribed to at another node, or has members here and no
// subscription. The caller holds clusterLink.mu.
func (n *node) lacks(channel string) bool {
	slot := slotOf(channel)
	_, asked := n.l.channels[slot][channel]
	return asked && n.l.owner[slot] != n || n.l.to.Deaf(channel)
}

// sort puts a publication into the group of its master. The caller holds mu.
func (l *clusterLink) sort(pub *broker.Publication) {
	n := l.owner[slotOf(pub.Channel)]
	switch {
	case l.to.Deaf(pub.Channel): // members here would miss it
		pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
	case n == nil:
		pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errNoOwner)
	default:
		if len(n.group) == 0 {
			l.asked = append(l.asked, n)
		}
		n.group = append(n.group, pub)
	}
}

// redirected returns, in order, the publications of the group that the master refused because it
// does not own their slot. One that may not be redirected gets an outcome instead: when a later one
// of its slot was taken, it would arrive out of order.
func (n *node) redirected(goOn bool) []*broker.Publication {
	if !slices.ContainsFunc(n.group, func(pub *broker.Publication) bool { return pub.Err != nil }) {
		return nil
	}
	taken := map[int]bool{}
	left := len(n.group) // the publications from here on are redirected
	for _, pub := range slices.Backward(n.group) {
		slot := slotOf(pub.Channel)
		refusal, _ := errors.AsType[respError](pub.Err)
		_, to, moved := refusal.moved(n.addr)
		switch {
		case refusal.code() == "ASK", refusal.code() == "TRYAGAIN": // keys of the slot are being moved
			pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
		case moved && to != "" && goOn && !taken[slot]:
			n.l.mu.Lock()
			n.l.moved(slot, n, to)
			n.l.mu.Unlock()
			left--
			n.group[left] = pub
		case moved:
			pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
		case pub.Err == nil, errors.Is(pub.Err, broker.ErrUnknown):
			taken[slot] = true
		}
	}
	return n.group[left:]
}
