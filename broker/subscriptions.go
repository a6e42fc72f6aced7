package broker

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// subscription is a channel that has members on this node, or had some a moment ago.
type subscription struct {
	name       string
	prev, next *subscription // on the list of its standing
	at         time.Duration // since table.epoch: when it has rested, or lingered
	standing   standing
	link       uint8 // table.link when all but wanted and refusals was true
	wanted     bool  // there are members (I12)
	owed       bool  // counted by table.owed
	deaf       bool  // members that were told that they hear it do not; counted by table.deaf
	refusals   uint8 // by the engine, in a row, up to numRests-1; 1 also when it has moved
}

// table is the subscriptions of a node, by their names at the engine. Its methods may be
// called from any goroutine; those that change what the engine knows belong to Remote.run.
//
// Event loops wait for it, with a shard of the hub locked. So no method does more with it
// locked than for MaxBatch subscriptions, or a part of the channels.
type table struct {
	epoch time.Time // immutable

	mu       sync.Mutex // a leaf lock; Subscribe comes with the hub's shard locked
	channels channelMap
	open     bool         // there is a link
	link     uint8        // how many there were, modulo 256: nothing is left of one when the next is lost
	deaf     atomic.Int64 // subscriptions that are; written with mu locked
	onLink
}

// onLink is what a table has of one link. It begins anew when the link is lost.
type onLink struct {
	lists [numLists]ends
	sizes [numStandings]int // subscriptions with each standing
	joining
	openedAt   time.Time     // when the link was
	progress   time.Time     // the engine answered something, or had nothing to answer
	owed       int           // of those there were when the link was opened, how many the engine has not answered
	returning  bool          // a server that is there has said that it will have a channel in a moment
	reachable  int           // so many of the unreachable ones are worth asking for
	probe      *subscription // the one of them that is asked for, if it is
	probeAgain time.Duration // when the next one is; since epoch
}

func newTable() *table {
	return &table{epoch: time.Now(), channels: channelMap{seed: maphash.MakeSeed()}, onLink: onLink{joining: newJoining()}}
}

// want notes that the channel has got a member. It reports whether the engine has
// to be asked.
func (t *table) want(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil {
		s = &subscription{name: name, link: t.link, wanted: true}
		t.channels.add(s)
		t.begin(s, fresh)
		return t.open
	}
	s.wanted = true
	if s.standing == left {
		t.move(s, inForce)
	}
	return false
}

// unwant notes that the channel has lost its last member. What the engine was asked for
// it has to confirm before it can be told to end it, and what it refused is kept for as
// long as it rests.
func (t *table) unwant(name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil {
		return
	}
	s.wanted = false
	switch s.standing {
	case fresh, again, unreachable:
		t.forget(s)
	case inForce:
		t.linger(s, now)
	}
}

// linger keeps s for a while: it may be joined again.
func (t *table) linger(s *subscription, now time.Time) {
	s.at = now.Sub(t.epoch) + linger
	t.move(s, left)
}

// find returns the subscription of a channel, as it is on this link, or nil.
func (t *table) find(name string) *subscription {
	s := t.channels.get(name)
	if s == nil || s.link == t.link {
		return s
	}
	return t.renew(s)
}

// begin puts s, of which this link knows nothing, among those to ask for. What there is
// before there is a link is what the node owes before it is up.
func (t *table) begin(s *subscription, to standing) {
	t.put(s, to)
	if !t.open {
		s.owed = true
		t.owed++
	}
}

// forget takes a subscription out of the table.
func (t *table) forget(s *subscription) {
	t.repaid(s)
	t.setDeaf(s, false)
	t.takeOff(s)
	t.channels.remove(s)
}

// repaid notes that s does not keep the node from being up, or not any more.
func (t *table) repaid(s *subscription) {
	if s.owed {
		s.owed = false
		t.owed--
	}
}

// confirm notes that a subscription is in force, and returns the joins that waited for it.
func (t *table) confirm(name string, now time.Time) *join {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing != asked {
		return nil
	}
	s.refusals = 0
	if s.wanted {
		t.move(s, inForce)
	} else {
		t.linger(s, now)
	}
	t.setDeaf(s, false)
	t.progress = now
	t.repaid(s)
	t.probed(s, false)
	return t.answer(s)
}

// end notes that a subscription has ended, and returns the joins that waited for it and have to be answered;
// known is false when the engine was not asked for it.
// A join of one that has moved goes on waiting; but one that was not in force since it
// moved last is unreachable, for servers that each name another one.
func (t *table) end(name string, now time.Time, cause error) (first *join, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing < left {
		return nil, false
	}
	isAway := errors.Is(cause, ErrUnreachable)
	t.progress = now // no is an answer, too
	t.probed(s, isAway)
	t.setDeaf(s, isAway)
	t.returning = t.returning || errors.Is(cause, ErrNotYet) || errors.Is(cause, ErrMoved)
	switch {
	case !isAway:
		t.rest(s, now)
	case !s.wanted:
		t.forget(s)
	case s.refusals == 0 && errors.Is(cause, ErrMoved):
		s.refusals = 1
		t.move(s, fresh)
		return nil, true
	default:
		t.move(s, unreachable)
	}
	t.repaid(s)
	return t.answer(s), true
}

// setDeaf notes whether what is published to the channel of s is missed here.
func (t *table) setDeaf(s *subscription, deaf bool) {
	switch {
	case deaf && !s.deaf:
		t.deaf.Add(1)
	case !deaf && s.deaf:
		t.deaf.Add(-1)
	}
	s.deaf = deaf
}

// isDeaf reports whether the channel has members here that hear nothing, as the
// server of the channel is unreachable while others are there.
func (t *table) isDeaf(name string) bool {
	if t.deaf.Load() == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	return s != nil && s.deaf && s.wanted
}

// count returns how many subscriptions there are, and how many are not in force.
func (t *table) count() (all, pending int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.channels.size, t.channels.size - t.sizes[inForce] - t.sizes[left]
}
