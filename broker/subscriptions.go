package broker

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// standing is what the engine knows of a subscription.
type standing uint8

const (
	absent  standing = iota // not asked for
	asked                   // asked for, not confirmed
	inForce                 // confirmed
)

// subscription is a channel that has members on this node, or had some a moment ago.
type subscription struct {
	name     string
	since    time.Duration // the last member left; since table.epoch
	link     uint8         // table.link when what follows was true; what follows is none of that of another
	standing standing
	wanted   bool  // there are members (I12); true of any link
	listed   bool  // in table.fresh, again, resting or away
	leaving  bool  // in table.leaving
	owed     bool  // counted by table.owed
	deaf     bool  // the server of the channel is away, and it was in force or asked for; counted by table.deaf
	refusals uint8 // by the engine, in a row, up to numRests-1; true of any link
}

// turn is a subscription that is looked at again some time after at, which is kept
// here: a list stays in order, and nobody's obstacle, whatever happens to those in it.
type turn struct {
	*subscription
	at time.Duration // since table.epoch
}

// table is the subscriptions of a node. Its methods may be called from any
// goroutine; those that change what the engine knows belong to Remote.run.
//
// Event loops wait for it, with a shard of the hub locked. So no method does more with it
// locked than for MaxBatch subscriptions, or a part of the channels.
type table struct {
	epoch time.Time // immutable

	mu       sync.Mutex // a leaf lock; Subscribe comes with the hub's shard locked
	channels channelMap
	waiting  map[*subscription]*crowd
	waited   int                  // most keys of waiting since that map was made
	queue    fifo[*waiter]        // all of waiting, by till, and some that are answered
	fresh    fifo[*subscription]  // wanted and absent, first come first served
	again    fifo[*subscription]  // the same, but they were asked for before
	resting  [numRests]fifo[turn] // the same, but the engine said no, so often in a row; asked for again from at on
	away     fifo[*subscription]  // the same, but its server is away; and some that were left meanwhile
	probe    *subscription        // the one of them that is asked for, if it is
	probing  time.Duration        // when the next one is; since epoch
	leaving  fifo[turn]           // not wanted any more, by when that was
	asked    int                  // subscriptions with that standing
	inForce  int                  // subscriptions with that standing
	owed     int                  // of those there were when the link was opened, how many are not in force
	owedDeaf int                  // of these, how many are deaf
	openedAt time.Time            // when the link was
	progress time.Time            // the engine answered something, or had nothing to answer
	open     bool                 // there is a link
	link     uint8                // how many there were, modulo 256: nothing is left of one when the next is lost
	deaf     atomic.Int64         // subscriptions that are; written with mu locked
}

func newTable() *table {
	return &table{epoch: time.Now(), channels: channelMap{seed: maphash.MakeSeed()}, waiting: map[*subscription]*crowd{}}
}

// want notes that the channel has got a member. It reports whether the engine has
// to be asked.
func (t *table) want(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil {
		s = &subscription{name: name, link: t.link}
		t.channels.add(s)
	}
	s.wanted = true
	if s.standing != absent || s.listed {
		return false
	}
	t.list(s, &t.fresh)
	return t.open
}

// find returns the subscription of a channel, as it is on this link, or nil.
func (t *table) find(name string) *subscription {
	s := t.channels.get(name)
	if s == nil || s.link == t.link {
		return s
	}
	return t.renew(s)
}

// list puts s on a list of those to ask for. What is there before there is a link is
// what the node owes before it is up.
func (t *table) list(s *subscription, to *fifo[*subscription]) {
	s.listed = true
	to.push(s)
	if !t.open && !s.owed {
		s.owed = true
		t.owed++
	}
}

// unwant notes that the channel has lost its last member.
func (t *table) unwant(name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil {
		return
	}
	s.wanted = false
	s.since = now.Sub(t.epoch)
	switch {
	case s.standing == absent && !s.listed:
		t.forget(s)
	case !s.leaving:
		t.linger(s, s.since)
	}
	if s.deaf && s.listed {
		t.tidy()
	}
}

// forget takes a subscription out of the table; it is on no list.
func (t *table) forget(s *subscription) {
	t.repaid(s)
	t.setHeard(s, true)
	t.channels.remove(s)
}

// repaid notes that s does not keep the node from being up, or not any more.
func (t *table) repaid(s *subscription) {
	if !s.owed {
		return
	}
	s.owed = false
	t.owed--
	if s.deaf {
		t.owedDeaf--
	}
}

// confirm notes that a subscription is in force and returns who waited for it.
func (t *table) confirm(name string, now time.Time) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing != asked {
		return nil
	}
	t.settle(s)
	s.standing, s.refusals = inForce, 0
	t.setHeard(s, true)
	t.inForce++
	t.progress = now
	t.repaid(s)
	t.probed(s, false)
	return t.answer(s)
}

// ending is why a subscription is no more.
type ending uint8

const (
	refused ending = iota // by the engine: it rests before it is asked for again
	away                  // its server is: it stays away with it
	moved                 // its server gave it to another one: it is asked for there at once
)

// end notes that a subscription is no more, and returns who waited for it and is to be told.
// Who waits for one that has moved goes on waiting; but one that was not in force since it
// moved last is away, for servers that each name another one.
func (t *table) end(name string, now time.Time, why ending) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing == absent {
		return nil
	}
	t.settle(s)
	t.progress = now // no is an answer, too
	t.probed(s, why != refused)
	if s.wanted {
		t.setHeard(s, why == refused)
	}
	switch {
	case s.wanted && why == moved && s.refusals == 0:
		s.refusals = 1
		t.list(s, &t.fresh)
		return nil
	case s.wanted && why != refused:
		t.keepAway(s)
	case s.wanted:
		t.repaid(s) // it would keep the others waiting
		t.rest(s, now)
	case !s.leaving:
		t.forget(s)
	default:
		t.repaid(s)
	}
	return t.answer(s)
}

// settle takes back what the engine knew of s.
func (t *table) settle(s *subscription) {
	switch s.standing {
	case asked:
		t.asked--
	case inForce:
		t.inForce--
	}
	s.standing = absent
}

// sizes returns how many subscriptions there are, and how many are not in force.
func (t *table) sizes() (all, pending int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.channels.size, t.channels.size - t.inForce
}
