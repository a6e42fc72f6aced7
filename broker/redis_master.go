package broker

import (
	"context"
	"errors"
	"fmt"
)

// redisMaster is a master of a cluster, where the channels of its slots are subscribed to.
// It implements sink: what its subscriber tells goes to the link's.
//
// What is at home there while there is no connection waits for one: the keeper asks for
// all of it when there is, or ends it when the attempt fails.
type redisMaster struct {
	l    *shardedLink
	addr string
	ears *redisKeeper[*redisSubscriber]
}

var _ sink = (*redisMaster)(nil)

// redisAsked is a subscriber, and when it has written what it was asked to; nothing when
// it is not to be waited for.
type redisAsked struct {
	of      *redisSubscriber
	written <-chan struct{}
}

// master returns a master, whose connection is opened in the background.
func (l *shardedLink) master(addr string) *redisMaster {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.masters[addr]
	if n == nil {
		n = &redisMaster{l: l, addr: addr}
		n.ears = &redisKeeper[*redisSubscriber]{
			addr: addr, opened: n.opened, lost: n.away, failed: n.failed,
			login: func(ctx context.Context) (*redisConn, error) { return l.m.connect(ctx, addr) },
			begin: func(conn *redisConn, lost func(error)) *redisSubscriber {
				return newRedisSubscriber(conn, n, lost)
			},
			needed: func() bool { return true },
		}
		l.masters[addr] = n
		n.ears.start(l.ctx, nil)
	}
	return n
}

// subscribe asks for channels, by slot.
func (n *redisMaster) subscribe(slots map[int][]string) redisAsked {
	n.settle(slots)
	sub, _, soon := n.ears.current()
	switch {
	case sub != nil:
		return n.ask("SSUBSCRIBE", slots)
	case !soon:
		n.leave(slots, fmt.Errorf("%w: %w", errAway, errNodeResting))
	}
	return redisAsked{}
}

// settle notes where channels are at home from now on.
func (n *redisMaster) settle(slots map[int][]string) {
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
	l.end(moved, errMoved)
}

// leave ends channels that are at home here.
func (n *redisMaster) leave(slots map[int][]string, cause error) {
	for _, channels := range slots {
		for _, channel := range channels {
			n.ended(channel, cause)
		}
	}
}

// ask writes commands, one for each slot. What is not written because the connection has
// ended is of no use: its end is the end of the subscriptions.
func (n *redisMaster) ask(verb string, slots map[int][]string) redisAsked {
	sub, _, _ := n.ears.current()
	if sub == nil {
		return redisAsked{}
	}
	groups := make([][]string, 0, len(slots))
	for _, channels := range slots {
		groups = append(groups, channels)
	}
	done, err := sub.ask(verb, groups...)
	if err != nil {
		return redisAsked{}
	}
	return redisAsked{of: sub, written: done}
}

// opened asks for what is at home here, of which nothing is in force.
func (n *redisMaster) opened(*redisSubscriber) {
	some, size := map[int][]string{}, 0
	n.l.mu.Lock()
	var all []map[int][]string
	for slot, home := range n.l.slots {
		if home.at != n {
			continue
		}
		for channel := range home.channels {
			some[slot] = append(some[slot], channel)
			if size++; size%maxBatch == 0 {
				all, some = append(all, some), map[int][]string{}
			}
		}
	}
	n.l.mu.Unlock()
	for _, some := range append(all, some) {
		n.ask("SSUBSCRIBE", some)
	}
	n.returned()
}

// failed is called when the master cannot be reached.
func (n *redisMaster) failed(err error, first bool) {
	if first { // said once, until it was reached again
		n.l.m.dialer.log.Error("a node of the broker's cluster cannot be reached, trying again", "err", err)
	}
	n.l.m.doubt("")
	n.l.end(n.forget(), fmt.Errorf("%w: %w", errAway, err))
}

// away is called when the connection is lost.
func (n *redisMaster) away(cause error) {
	n.l.m.doubt("")
	channels := n.forget()
	n.l.m.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause, "subscriptions", len(channels))
	n.l.end(channels, fmt.Errorf("%w: %w", errAway, cause))
}

// forget returns what was at home here.
func (n *redisMaster) forget() (channels []string) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	for slot, home := range n.l.slots {
		if home.at == n {
			channels = n.l.leave(channels, slot)
		}
	}
	return channels
}

func (n *redisMaster) received(channel, content []byte) { n.l.to.received(channel, content) }

// confirmed is passed on unless the channel has left.
func (n *redisMaster) confirmed(channel string) {
	n.l.mu.Lock()
	home := n.l.slots[slotOf(channel)]
	here := home != nil && home.at == n
	if here {
		_, here = home.channels[channel]
	}
	n.l.mu.Unlock()
	if here {
		n.l.to.confirmed(channel)
	}
}

// ended is a slot that moved away, most often: what the server ends unasked, and MOVED.
// The channel is heard nowhere then, and asked for at its new master at once.
func (n *redisMaster) ended(channel string, cause error) {
	refusal, refused := errors.AsType[respError](cause)
	switch {
	case errors.Is(cause, errUnasked):
		n.l.m.doubt(n.addr) // who gives a slot away knows to whom
		cause = errMoved
	case refused && refusal.code() == "MOVED":
		to, _ := redisMoved(refusal, n.addr)
		n.l.m.doubt(to)
		cause = errMoved
	case refused && refusal.unreachable():
		n.l.m.doubt("")
		cause = fmt.Errorf("%w: %w", errAway, cause)
	}
	slot := slotOf(channel)
	n.l.mu.Lock()
	home := n.l.slots[slot]
	here := home != nil && home.at == n
	if here {
		if _, here = home.channels[channel]; here {
			if delete(home.channels, channel); len(home.channels) == 0 {
				delete(n.l.slots, slot)
			}
		}
	}
	n.l.mu.Unlock()
	if here {
		n.l.to.ended(channel, cause)
	}
}

func (n *redisMaster) returned() { n.l.to.returned() }

// lost is not called: the keeper is told.
func (n *redisMaster) lost(error) {}

// deaf is for who publishes.
func (n *redisMaster) deaf(channel string) bool { return n.l.to.deaf(channel) }
