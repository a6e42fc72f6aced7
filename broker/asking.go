package broker

import "time"

// Bounds on subscription traffic.
const (
	// linger is how long a subscription outlives its last member, so that joining and leaving a
	// channel in turn causes no traffic at the engine. Publications received meanwhile
	// have no receiver.
	linger = time.Second
	// maxLingering bounds these subscriptions; beyond it the oldest end at the next sweep.
	maxLingering = 1 << 16
	// retryAfter is how long a channel rests after the engine refused or ended its subscription. It
	// doubles with each refusal in a row, up to retryAtLast.
	retryAfter  = time.Second
	retryAtLast = time.Minute
	numRests    = 7 // the number of different rests
	// probeInterval is the time between two requests for a channel whose server is unreachable.
	probeInterval = 2 * time.Second
	// returnTime is how long a new link waits for servers that answer and do not serve yet. Other
	// nodes may have reached these servers already: without the wait, this node would be up and
	// miss what those nodes publish. A Redis master that lost contact serves again after 5 s at the
	// latest. An unreachable server is not waited for, because it may never return.
	returnTime = 7 * time.Second
	// awaitTimeout bounds Await. A link on which the engine answers nothing for twice as long is
	// lost.
	awaitTimeout = 5 * time.Second
)

// take returns up to MaxBatch channels to subscribe to, and marks them as asked. It reports whether
// there are more.
//
// Half of a batch is for new joins, because their clients wait.
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

// takeFrom moves subscriptions from the front of a list to names, until names has most elements.
func (t *table) takeFrom(from standing, names []string, most int) []string {
	for len(names) < most && t.sizes[from] > 0 {
		s := t.lists[from].first
		t.move(s, asked)
		names = append(names, s.name)
	}
	return names
}

// rest lets s rest after the engine refused it; a sweep asks for it again.
func (t *table) rest(s *subscription, now time.Time) {
	s.at = now.Sub(t.epoch) + restAfter(s.refusals)
	t.move(s, resting+standing(s.refusals))
	s.refusals = min(s.refusals+1, numRests-1)
}

// restAfter returns the rest of a channel that was refused this many times in a row before.
func restAfter(refusals uint8) time.Duration { return min(retryAfter<<refusals, retryAtLast) }

// sweep forgets subscriptions that have lingered, and returns them to be unsubscribed. It queues
// those that have rested, and one unreachable one, to be asked for again. It looks at MaxBatch and
// reports whether there may be more: then the caller calls it again, with the same time.
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

// due reports whether the first subscription of a list has been on it for long enough, or has to make room.
func (t *table) due(of standing, now time.Duration) bool {
	return t.sizes[of] > 0 && (t.lists[of].first.at <= now || of == left && t.sizes[left] > maxLingering)
}

// probed notes the outcome of asking for s. Of the channels whose server is unreachable, which may
// be hundreds of thousands, only one is asked for: the probe. All are asked for when the probe is
// in force or refused for a reason of its own, or when the link reports a change.
func (t *table) probed(s *subscription, isAway bool) {
	if s != t.probe {
		return
	}
	t.probe = nil
	if !isAway {
		t.reachable = t.sizes[unreachable]
	}
}

// returned makes all channels whose server was unreachable be asked for again.
func (t *table) returned() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reachable = t.sizes[unreachable]
}
