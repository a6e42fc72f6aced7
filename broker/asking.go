package broker

import "time"

// Bounds on the traffic of subscriptions.
const (
	// linger is how long a subscription outlives its last member, so that a channel
	// that is joined and left in turn does not go back and forth at the engine. What
	// is received meanwhile is for nobody.
	linger = time.Second
	// maxLingering is how many may do so; beyond it the oldest end at the next sweep.
	maxLingering = 1 << 16
	// retryAfter is how long a channel rests after the engine refused or ended its
	// subscription; it doubles with each time in a row, up to retryAtLast.
	retryAfter  = time.Second
	retryAtLast = time.Minute
	numRests    = 7 // so many different ones
	// probeInterval is how often one of the channels whose server is away is asked for.
	probeInterval = 2 * time.Second
	// returnTime is how long a new link has for the servers that are away. Who lost all of
	// them may have one back before the others, and others of our nodes have them already:
	// a node that says it is up would not hear what those publish. A Redis master that has
	// been out of touch answers for itself after 5 s at the latest.
	returnTime = 7 * time.Second
	// awaitTimeout is how long Await may take. A link on which the engine answers
	// nothing for twice as long is lost.
	awaitTimeout = 5 * time.Second
)

// restAfter is how long a channel rests that was refused so often in a row before.
func restAfter(refusals uint8) time.Duration { return min(retryAfter<<refusals, retryAtLast) }

// take returns up to MaxBatch channels to subscribe to, which count as asked for
// from now on. It reports whether there are more.
//
// Half of a batch is for those who join now: they wait.
func (t *table) take(now time.Time) (names []string, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := MaxBatch
	names, left = t.takeFrom(&t.fresh, names, left, MaxBatch/2, now)
	names, left = t.takeFrom(&t.again, names, left, left, now)
	names, _ = t.takeFrom(&t.fresh, names, left, left, now)
	return names, t.fresh.size+t.again.size > 0
}

// takeFrom moves up to most channels, those that are wanted, from the front of a list
// to names. It returns how many of left may still be looked at.
func (t *table) takeFrom(list *fifo[*subscription], names []string, left, most int, now time.Time) ([]string, int) {
	for range min(list.size, most) {
		left--
		s := list.pop()
		if !s.wanted {
			t.drop(s)
			continue
		}
		s.listed, s.standing = false, asked
		if t.asked++; t.asked == 1 {
			t.progress = now
		}
		names = append(names, s.name)
	}
	return names, left
}

// drop is for what came off a list and is not wanted.
func (t *table) drop(s *subscription) {
	s.listed = false
	if s.leaving { // it came and went; the sweep forgets it
		t.repaid(s)
	} else {
		t.forget(s)
	}
}

// rest lets s, which the engine refused, rest before it is asked for again.
func (t *table) rest(s *subscription, now time.Time) {
	s.listed = true
	t.resting[s.refusals].push(turn{s, now.Sub(t.epoch) + restAfter(s.refusals)})
	s.refusals = min(s.refusals+1, numRests-1)
}

// rested lets those be asked for again that have rested long enough, up to MaxBatch.
// It reports whether there may be more.
func (t *table) rested(now time.Duration) (more bool) {
	left := MaxBatch
	for i := range t.resting {
		for list := &t.resting[i]; left > 0 && list.size > 0 && list.front().at <= now; left-- {
			t.again.push(list.pop().subscription)
		}
	}
	return left == 0
}

// linger puts s on the list of those that are left.
func (t *table) linger(s *subscription, at time.Duration) {
	s.leaving = true
	t.leaving.push(turn{s, at})
}

// sweep returns subscriptions to end, which the engine is to forget now, and puts back
// what has rested long enough. It looks at MaxBatch, and reports whether there may be
// more: then it is called again, with the same time, until it has seen each once.
func (t *table) sweep(began time.Time) (names []string, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := began.Sub(t.epoch)
	n := 0
	for ; n < MaxBatch && t.leaving.size > 0; n++ {
		s := t.leaving.front()
		crowded := t.leaving.size > maxLingering
		if s.at > now || !crowded && !s.wanted && s.at > now-linger {
			break
		}
		t.leaving.pop()
		s.leaving = false
		switch {
		case s.wanted:
		case !crowded && s.since > now-linger: // it was joined meanwhile, and left again
			t.linger(s.subscription, s.since)
		case s.standing == inForce:
			t.settle(s.subscription)
			t.forget(s.subscription)
			names = append(names, s.name)
		case s.standing == asked: // its confirmation must not be taken for another's
			t.linger(s.subscription, now+1) // behind this sweep
		case !s.listed:
			t.forget(s.subscription)
		}
	}
	more = t.rested(now)
	t.probeAway(now)
	return names, more || n == MaxBatch
}
