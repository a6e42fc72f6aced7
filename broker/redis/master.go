package redis

import (
	"context"
	"errors"
	"fmt"

	"wsify/broker"
)

// master is a master of a cluster, where the channels of its slots are subscribed to.
// It is the Sink of its subscriber, most of which is the link's.
//
// What is at home there while there is no connection waits for one: the keeper asks for
// all of it when there is, or ends it when the attempt fails.
type master struct {
	broker.Sink // the link's
	l           *shardedLink
	addr        string
	subs        *keeper[*subscriber]
}

// writing is a subscriber, and when it has written what it was asked to; nothing when
// it is not to be waited for.
type writing struct {
	of      *subscriber
	written <-chan struct{}
}

// master returns a master, whose connection is opened in the background.
func (l *shardedLink) master(addr string) *master {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.masters[addr]
	if n == nil {
		n = &master{Sink: l.to, l: l, addr: addr}
		n.subs = &keeper[*subscriber]{
			addr: addr, opened: n.opened, lost: n.away, failed: n.failed,
			login: func(ctx context.Context) (*serverConn, error) { return l.m.connect(ctx, addr) },
			begin: func(conn *serverConn, lost func(error)) *subscriber {
				return newSubscriber(conn, n, lost)
			},
			needed: func() bool { return true },
		}
		l.masters[addr] = n
		n.subs.start(l.ctx)
	}
	return n
}

// subscribe asks for channels, by slot.
func (n *master) subscribe(slots map[int][]string) writing {
	n.settle(slots)
	sub, _, soon := n.subs.current()
	switch {
	case sub != nil:
		return n.ask("ssubscribe", slots)
	case !soon:
		n.leave(slots, fmt.Errorf("%w: %w", broker.ErrAway, errNodeResting))
	}
	return writing{}
}

// settle notes where channels are at home from now on.
func (n *master) settle(slots map[int][]string) {
	l := n.l
	var moved []string
	l.mu.Lock()
	for slot, channels := range slots {
		home := l.slots[slot]
		if home != nil && home.at != n {
			moved = l.leave(moved, slot)
			home = nil
		}
		if home == nil {
			home = &slotHome{at: n, channels: map[string]struct{}{}}
			l.slots[slot] = home
		}
		for _, channel := range channels {
			home.channels[channel] = struct{}{}
		}
	}
	l.mu.Unlock()
	l.end(moved, broker.ErrMoved)
}

// leave ends channels that are at home here.
func (n *master) leave(slots map[int][]string, cause error) {
	for _, channels := range slots {
		for _, channel := range channels {
			n.Ended(channel, cause)
		}
	}
}

// ask writes commands, one for each slot. What is not written because the connection has
// ended is of no use: its end is the end of the subscriptions.
func (n *master) ask(verb string, slots map[int][]string) writing {
	sub, _, _ := n.subs.current()
	if sub == nil {
		return writing{}
	}
	var requests []request
	for _, channels := range slots {
		requests = append(requests, request{verb: verb, channels: channels})
	}
	return writing{of: sub, written: sub.ask(requests...)}
}

// opened asks for what is at home here, of which nothing is in force.
func (n *master) opened(*subscriber) {
	some, size := map[int][]string{}, 0
	n.l.mu.Lock()
	var all []map[int][]string
	for slot, home := range n.l.slots {
		if home.at != n {
			continue
		}
		for channel := range home.channels {
			some[slot] = append(some[slot], channel)
			if size++; size%broker.MaxBatch == 0 {
				all, some = append(all, some), map[int][]string{}
			}
		}
	}
	n.l.mu.Unlock()
	for _, some := range append(all, some) {
		n.ask("ssubscribe", some)
	}
	n.Returned()
}

// failed is called when the master cannot be reached.
func (n *master) failed(err error, first bool) {
	if first { // said once, until it was reached again
		n.l.m.dialer.log.Error("a node of the broker's cluster cannot be reached, trying again", "err", err)
	}
	n.l.m.suspect("")
	n.l.end(n.forget(), fmt.Errorf("%w: %w", broker.ErrAway, err))
}

// away is called when the connection is lost.
func (n *master) away(cause error) {
	n.l.m.suspect("")
	channels := n.forget()
	n.l.m.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause, "subscriptions", len(channels))
	n.l.end(channels, fmt.Errorf("%w: %w", broker.ErrAway, cause))
	if !n.l.reached() {
		n.Sink.Lost(errNoMaster)
	}
}

// forget returns what was at home here.
func (n *master) forget() (channels []string) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	for slot, home := range n.l.slots {
		if home.at == n {
			channels = n.l.leave(channels, slot)
		}
	}
	return channels
}

// Confirmed is passed on unless the channel has left.
func (n *master) Confirmed(channel string) {
	n.l.mu.Lock()
	home := n.l.slots[slotOf(channel)]
	here := home != nil && home.at == n
	if here {
		_, here = home.channels[channel]
	}
	n.l.mu.Unlock()
	if here {
		n.Sink.Confirmed(channel)
	}
}

// Ended is a slot that moved away, most often: what the server ends unasked, and MOVED.
// The channel is heard nowhere then, and asked for at its new master at once.
func (n *master) Ended(channel string, cause error) {
	refusal, refused := errors.AsType[respError](cause)
	switch {
	case errors.Is(cause, errUnasked):
		n.l.m.suspect(n.addr) // who gives a slot away knows to whom
		cause = broker.ErrMoved
	case refused && refusal.code() == "MOVED":
		to, _ := movedTo(refusal, n.addr)
		n.l.m.suspect(to)
		cause = broker.ErrMoved
	case refused && refusal.unreachable():
		n.l.m.suspect("")
		cause = fmt.Errorf("%w: %w", broker.ErrAway, cause)
	}
	slot := slotOf(channel)
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	home := n.l.slots[slot]
	if home == nil || home.at != n {
		return
	}
	if _, here := home.channels[channel]; !here {
		return
	}
	if delete(home.channels, channel); len(home.channels) == 0 {
		delete(n.l.slots, slot)
	}
	n.Sink.Ended(channel, cause)
}

// Lost is not called: the keeper is told.
func (n *master) Lost(error) {}
