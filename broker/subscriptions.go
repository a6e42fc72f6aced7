package broker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on the traffic of subscriptions.
const (
	// linger is how long a subscription outlives its last member, so that a channel
	// that is joined and left in turn does not go back and forth at the engine. What
	// is received meanwhile is for nobody.
	linger = time.Second
	// maxLingering is how many may do so; beyond it the oldest end at the next sweep.
	maxLingering = 1 << 16
	// retryAfter is how long a channel rests after the engine refused or ended its
	// subscription; it doubles with each time in a row, up to retryAtLast, or up to
	// awayAtLast when its server was away: once that is back, what is published there
	// is taken, and missed here until the channel is asked for again.
	retryAfter  = time.Second
	retryAtLast = time.Minute
	awayAtLast  = 2 * time.Second
	// awaitTimeout is how long Await may take. A link on which the engine answers
	// nothing for twice as long is lost.
	awaitTimeout = 5 * time.Second
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
	standing standing
	wanted   bool  // there are members (I12)
	listed   bool  // in table.fresh, again or resting
	leaving  bool  // in table.leaving
	owed     bool  // counted by table.owed
	deaf     bool  // the server of the channel is away, and it was in force or asked for; counted by table.deaf
	refusals uint8 // by the engine, in a row
}

// turn is a subscription that is looked at again some time after at, which is kept
// here: a list stays in order, and nobody's obstacle, whatever happens to those in it.
type turn struct {
	*subscription
	at time.Duration // since table.epoch
}

// table is the subscriptions of a node. Its methods may be called from any
// goroutine; those that change what the engine knows belong to Remote.run.
type table struct {
	epoch time.Time // immutable

	mu       sync.Mutex // a leaf lock; Subscribe comes with the hub's shard locked
	channels map[string]*subscription
	waiting  map[*subscription]*crowd
	queue    fifo[*waiter]   // all of waiting, by till, and some that are answered
	fresh    []*subscription // wanted and absent, first come first served
	again    []*subscription // the same, since the link before was lost
	resting  []turn          // the same, but the engine said no; asked for again from at on
	leaving  []turn          // not wanted any more, by when that was
	peak     int             // most channels since the map was made
	waited   int             // most keys of waiting since that map was made
	asked    int             // subscriptions with that standing
	inForce  int             // subscriptions with that standing
	owed     int             // of those there were when the link was opened, how many are not in force
	progress time.Time       // the engine answered something, or had nothing to answer
	open     bool            // there is a link
	deaf     atomic.Int64    // subscriptions that are; written with mu locked
}

func newTable() *table {
	return &table{epoch: time.Now(), channels: map[string]*subscription{}, waiting: map[*subscription]*crowd{}}
}

// want notes that the channel has got a member. It reports whether the engine has
// to be asked.
func (t *table) want(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.channels[name]
	if s == nil {
		s = &subscription{name: name}
		t.channels[name] = s
		t.peak = max(t.peak, len(t.channels))
	}
	s.wanted = true
	if s.standing != absent || s.listed {
		return false
	}
	s.listed = true
	t.fresh = append(t.fresh, s)
	return t.open
}

// unwant notes that the channel has lost its last member. It reports whether so
// many linger that one has to go.
func (t *table) unwant(name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.channels[name]
	if s == nil {
		return false
	}
	s.wanted = false
	s.since = now.Sub(t.epoch)
	if s.standing == absent && !s.listed {
		t.forget(s)
		return false
	}
	if !s.leaving {
		t.linger(s, s.since)
	}
	return len(t.leaving) > maxLingering
}

// forget takes a subscription out of the table; it is on no list.
func (t *table) forget(s *subscription) {
	t.pay(s)
	t.hear(s, true)
	delete(t.channels, s.name)
	t.shrink()
}

// pay notes that s does not keep the node from being up, or not any more.
func (t *table) pay(s *subscription) {
	if s.owed {
		s.owed = false
		t.owed--
	}
}

// shrinkAt is the size from which a map that has become nearly empty is made anew:
// Go's maps keep the memory of their largest size.
const shrinkAt = 1024

// shrink copies the channels into a smaller map when seven eighths are gone.
func (t *table) shrink() {
	if t.peak < shrinkAt || len(t.channels) > t.peak/8 {
		return
	}
	small := make(map[string]*subscription, len(t.channels))
	for name, s := range t.channels {
		small[name] = s
	}
	t.channels, t.peak = small, len(small)
}

// take returns up to maxBatch channels to subscribe to, which count as asked for
// from now on.
//
// After a link was lost, half of a batch is for those who join now: they wait.
func (t *table) take(now time.Time) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	names = t.takeFrom(&t.fresh, names, maxBatch/2, now)
	names = t.takeFrom(&t.again, names, maxBatch, now)
	names = t.takeFrom(&t.fresh, names, maxBatch, now)
	return names
}

// takeFrom moves channels from the front of a list to names, until there are limit.
func (t *table) takeFrom(list *[]*subscription, names []string, limit int, now time.Time) []string {
	for len(*list) > 0 && len(names) < limit {
		s := (*list)[0]
		(*list)[0] = nil
		*list = (*list)[1:]
		s.listed = false
		switch {
		case !s.wanted && s.leaving: // it came and went; the sweep forgets it
			t.pay(s)
		case !s.wanted:
			t.forget(s)
		default:
			s.standing = asked
			if t.asked++; t.asked == 1 {
				t.progress = now
			}
			names = append(names, s.name)
		}
	}
	if len(*list) == 0 {
		*list = nil
	}
	return names
}

// confirm notes that a subscription is in force and returns who waited for it.
func (t *table) confirm(name string, now time.Time) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.channels[name]
	if s == nil || s.standing != asked {
		return nil
	}
	t.settle(s)
	s.standing, s.refusals = inForce, 0
	t.hear(s, true)
	t.inForce++
	t.progress = now
	t.pay(s)
	return t.answer(s)
}

// end notes that a subscription is no more, and returns who waited for it. It rests
// before it is asked for again: not for long when its server is away, which is no
// refusal.
func (t *table) end(name string, now time.Time, away bool) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.channels[name]
	if s == nil || s.standing == absent {
		return nil
	}
	t.settle(s)
	t.progress = now // no is an answer, too
	t.pay(s)         // it would keep the others waiting
	if s.wanted {
		longest := retryAtLast
		if away {
			longest = awayAtLast
		}
		t.hear(s, !away)
		s.listed = true
		t.resting = append(t.resting, turn{s, now.Sub(t.epoch) + min(retryAfter<<s.refusals, longest)})
		s.refusals = min(s.refusals+1, 6)
	} else if !s.leaving {
		t.forget(s)
	}
	return t.answer(s)
}

// hear notes whether what is published to the channel of s may be heard.
func (t *table) hear(s *subscription, heard bool) {
	if s.deaf != heard {
		return
	}
	s.deaf = !heard
	if heard {
		t.deaf.Add(-1)
	} else {
		t.deaf.Add(1)
	}
}

// isDeaf reports whether the channel has members here that hear nothing, as the
// server of the channel is away while others are there.
func (t *table) isDeaf(name []byte) bool {
	if t.deaf.Load() == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.channels[string(name)]
	return s != nil && s.deaf && s.wanted
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

// opened begins with a link on which nothing is subscribed to, and returns how much
// has to be.
func (t *table) opened() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = true
	t.owed = 0
	for _, s := range slices.Concat(t.again, t.fresh) {
		s.owed = true
		t.owed++
	}
	return t.owed
}

// closed notes that nothing is subscribed to any more, and returns who waited.
func (t *table) closed() (waiting map[*subscription]*crowd) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = false
	t.fresh, t.again, t.resting, t.leaving, t.owed = nil, make([]*subscription, 0, len(t.channels)), nil, nil, 0
	for name, s := range t.channels {
		s.standing, s.leaving, s.listed, s.owed, s.deaf = absent, false, false, false, false
		if !s.wanted {
			delete(t.channels, name)
			continue
		}
		s.listed = true
		t.again = append(t.again, s)
	}
	t.shrink()
	t.deaf.Store(0)
	t.asked, t.inForce = 0, 0
	waiting = t.waiting
	t.waiting, t.waited, t.queue = map[*subscription]*crowd{}, 0, fifo[*waiter]{}
	return waiting
}

// sweep returns up to maxBatch subscriptions to end, which the engine is to forget
// now, and puts back what has rested long enough. fresh says that there is something
// to take.
func (t *table) sweep(now time.Time) (names []string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ago := now.Sub(t.epoch) - linger
	for n := len(t.leaving); n > 0 && len(names) < maxBatch; n-- {
		s, crowded := t.leaving[0], len(t.leaving) > maxLingering
		if !crowded && !s.wanted && s.at > ago {
			break
		}
		t.leaving[0] = turn{}
		t.leaving = t.leaving[1:]
		s.leaving = false
		switch {
		case s.wanted:
		case !crowded && s.since > ago: // it was joined meanwhile, and left again
			t.linger(s.subscription, s.since)
		case s.standing == inForce:
			t.settle(s.subscription)
			t.forget(s.subscription)
			names = append(names, s.name)
		case s.standing == asked: // its confirmation must not be taken for another's
			t.linger(s.subscription, s.at)
		case !s.listed:
			t.forget(s.subscription)
		}
	}
	if len(t.leaving) == 0 {
		t.leaving = nil
	}
	t.rested(now)
	return names, len(t.fresh)+len(t.again) > 0
}

// rested lets those be asked for again that have rested long enough.
func (t *table) rested(now time.Time) {
	resting := t.resting[:0]
	for _, s := range t.resting {
		if now.Sub(t.epoch) < s.at {
			resting = append(resting, s)
		} else {
			t.fresh = append(t.fresh, s.subscription)
		}
	}
	clear(t.resting[len(resting):])
	if t.resting = resting; len(resting) == 0 {
		t.resting = nil
	}
}

// linger puts s on the list of those that are left.
func (t *table) linger(s *subscription, at time.Duration) {
	s.leaving = true
	t.leaving = append(t.leaving, turn{s, at})
}

// stuck reports whether the engine has not answered something for so long that the
// link is of no use.
func (t *table) stuck(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked > 0 && now.Sub(t.progress) > 2*awaitTimeout
}

// settled reports whether all that had to be subscribed to when the link was opened
// is in force.
func (t *table) settled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owed == 0
}

// sizes returns how many subscriptions there are, and how many are not in force.
func (t *table) sizes() (all, pending int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.channels), len(t.channels) - t.inForce
}
