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
	// probeInterval is how often one of the channels whose server is unreachable is asked for.
	probeInterval = 2 * time.Second
	// returnTime is how long a new link has for servers that do not serve yet. A node that lost all
	// of them may have one back before the others, and others of our nodes have them already:
	// a node that says it is up would not hear what those publish. A Redis master that has
	// been out of touch serves after 5 s at the latest. One that cannot be reached may never
	// come back, and is not waited for.
	returnTime = 7 * time.Second
	// awaitTimeout is how long Await may take. A link on which the engine answers
	// nothing for twice as long is lost.
	awaitTimeout = 5 * time.Second
)

// take returns up to MaxBatch channels to subscribe to, which count as asked for
// from now on. It reports whether there are more.
//
// Half of a batch is for new joins: their clients wait.
func (t *table) take(now time.Time) (names []string, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sizes[asked] == 0 {
		t.progress = now
	}
	names = t.takeFrom(fresh, nil, MaxBatch/2)
	names = t.takeFrom(again, names, MaxBatch)
	before := len(names)
	names = t.takeFrom(unreachable, names, min(MaxBatch, before+t.reachable))
	t.reachable = min(t.reachable-(len(names)-before), t.sizes[unreachable])
	names = t.takeFrom(fresh, names, MaxBatch)
	return names, t.sizes[fresh]+t.sizes[again]+t.reachable > 0
}

// takeFrom moves the front of a list to names, until there are so many.
func (t *table) takeFrom(from standing, names []string, most int) []string {
	for len(names) < most && t.sizes[from] > 0 {
		s := t.lists[from].first
		t.move(s, asked)
		names = append(names, s.name)
	}
	return names
}

// rest lets s, which the engine refused, rest before it is asked for again.
func (t *table) rest(s *subscription, now time.Time) {
	s.at = now.Sub(t.epoch) + restAfter(s.refusals)
	t.move(s, resting+standing(s.refusals))
	s.refusals = min(s.refusals+1, numRests-1)
}

// restAfter is how long a channel rests that was refused so often in a row before.
func restAfter(refusals uint8) time.Duration { return min(retryAfter<<refusals, retryAtLast) }

// sweep returns subscriptions to end, which are forgotten, and has those asked for again that
// have rested, and one of the unreachable ones. It looks at MaxBatch, and reports whether there
// may be more: then it is called again, with the same time.
func (t *table) sweep(began time.Time) (names []string, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := began.Sub(t.epoch)
	looks := 0
	for of := resting; of <= left; of++ {
		for ; looks < MaxBatch && t.due(of, now); looks++ {
			s := t.lists[of].first
			switch {
			case of == left:
				t.forget(s)
				names = append(names, s.name)
			case s.wanted:
				t.move(s, again)
			default:
				t.forget(s)
			}
		}
	}
	if t.sizes[unreachable] > 0 && now >= t.probeAgain {
		t.probe, t.probeAgain = t.lists[unreachable].first, now+probeInterval
		t.move(t.probe, again)
	}
	return names, looks == MaxBatch
}

// due reports whether the first on a list that is by at is not to be there any more.
func (t *table) due(of standing, now time.Duration) bool {
	return t.sizes[of] > 0 && (t.lists[of].first.at <= now || of == left && t.sizes[left] > maxLingering)
}

// probed notes what came of asking for s. Channels whose server is unreachable, while others of the
// engine are there, are not asked for one by one all the time: there may be hundreds of
// thousands. They are when the link says that something has changed, or when one of them, the
// probe, is in force or refused for itself.
func (t *table) probed(s *subscription, isAway bool) {
	if s != t.probe {
		return
	}
	t.probe = nil
	if !isAway {
		t.reachable = t.sizes[unreachable]
	}
}

// returned lets all channels whose server was unreachable be asked for again.
func (t *table) returned() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reachable = t.sizes[unreachable]
}
