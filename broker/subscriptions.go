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
	at         time.Duration // since table.epoch: when its rest or its lingering is over
	standing   standing
	link       uint8 // table.link when the other fields, except wanted and refusals, were set
	wanted     bool  // the channel has members (I12)
	owed       bool  // counted by table.owed
	lapsed     bool  // it was asked for before, or on an earlier link
	deaf       bool  // members that were told of a subscription in force do not receive anything; counted by table.deaf
	refusals   uint8 // by the engine, in a row, up to numRests-1; also 1 after a move
}

// table holds the subscriptions of a node, by their names at the engine. Any goroutine may call its
// methods; only Remote.run calls those that change what the engine knows.
//
// Event loops wait for its lock while they hold a shard of the hub. So a method locks it for at
// most MaxBatch subscriptions, or one part of the channels.
type table struct {
	epoch time.Time // immutable

	mu       sync.Mutex // a leaf lock; Subscribe comes with the hub's shard locked
	channels channelMap
	open     bool         // there is a link
	link     uint8        // the number of links so far, modulo 256: nothing is left of a link when the next is lost
	deaf     atomic.Int64 // how many subscriptions are deaf; written with mu locked
	onLink
}

// onLink is the state of a table for one link. It is reset when the link is lost.
type onLink struct {
	lists [numLists]ends
	sizes [numStandings]int // subscriptions with each standing
	joining
	openedAt   time.Time     // when the link was opened
	progress   time.Time     // the engine answered something, or nothing was unanswered
	owed       int           // subscriptions from before the link was opened that the engine has not answered
	returning  bool          // a reachable server has said that it will serve a channel in a moment
	reachable  int           // how many of the unreachable ones are worth asking for
	probe      *subscription // the unreachable one that is being asked for, if any
	probeAgain time.Duration // when the next probe is due, since epoch
}

func newTable() *table {
	return &table{epoch: time.Now(), channels: channelMap{seed: maphash.MakeSeed()}, onLink: onLink{joining: newJoining()}}
}

// want notes that the channel has a member. It reports whether the engine has to be asked.
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

// unwant notes that the channel has lost its last member. A subscription that was asked for has to
// be confirmed before the engine can be told to end it. A refused one is kept as long as it rests.
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

// linger keeps s for a while, because a client may join the channel again.
func (t *table) linger(s *subscription, now time.Time) {
	s.at = now.Sub(t.epoch) + linger
	t.move(s, left)
}

// find returns the subscription of a channel, renewed for this link, or nil.
func (t *table) find(name string) *subscription {
	s := t.channels.get(name)
	if s == nil || s.link == t.link {
		return s
	}
	return t.renew(s)
}

// begin queues s, which is unknown on this link, to be asked for. Without a link, s is also owed:
// the node is not up before the engine has answered for it.
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

// repaid notes that s no longer keeps the node from being up.
func (t *table) repaid(s *subscription) {
	if s.owed {
		s.owed = false
		t.owed--
	}
}

// confirm notes that a subscription is in force, and returns the joins that waited for it. lapsed
// means that it may have been in force before.
func (t *table) confirm(name string, now time.Time) (first *join, lapsed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing != asked {
		return nil, false
	}
	s.refusals = 0
	lapsed, s.lapsed = s.lapsed, false
	if s.wanted {
		t.move(s, inForce)
	} else {
		t.linger(s, now)
	}
	t.setDeaf(s, false)
	t.progress = now
	t.repaid(s)
	t.probed(s, false)
	return t.answer(s), lapsed
}

// end notes that a subscription has ended, and returns the waiting joins that have to be answered.
// known is false when the engine was not asked for it. After a move the joins go on waiting. A
// second move before it was in force counts as unreachable, because servers may name each other.
func (t *table) end(name string, now time.Time, cause error) (first *join, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing < left {
		return nil, false
	}
	isAway := errors.Is(cause, ErrUnreachable)
	s.lapsed = true
	t.progress = now // a refusal is an answer, too
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

// setDeaf notes whether members of s miss what is published to its channel.
func (t *table) setDeaf(s *subscription, deaf bool) {
	switch {
	case deaf && !s.deaf:
		t.deaf.Add(1)
	case !deaf && s.deaf:
		t.deaf.Add(-1)
	}
	s.deaf = deaf
}

// isDeaf reports whether the channel has members here that receive nothing, because the server of
// the channel is unreachable while others are reachable.
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
