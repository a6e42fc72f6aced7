package broker

import (
	"runtime"
	"time"
)

// opened begins a link without subscriptions and returns how many the node owes. Nothing of the
// previous link is left.
func (t *table) opened(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.openedAt = true, now
	return t.owed
}

// linkLost notes that the link is lost, so nothing is subscribed to. It returns the joins that
// waited. Each subscription is renewed when it is looked up, or by renewAll.
func (t *table) linkLost() (waiting map[*subscription]*joins) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = false
	t.link++
	waiting = t.waiting
	t.onLink = onLink{joining: newJoining()}
	t.deaf.Store(0)
	return waiting
}

// renewAll makes all subscriptions from before linkLost be asked for again. It returns before
// another link is opened.
func (t *table) renewAll() {
	for i := range channelParts {
		t.renewPart(i)
		runtime.Gosched() // without it, a goroutine that waits for the lock does not get it before the next part
	}
}

func (t *table) renewPart(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.channels.parts[i].byName {
		if s.link != t.link {
			t.renew(s)
		}
	}
}

// renew resets s for a link that does not know it, and returns it, or nil when s has no members.
func (t *table) renew(s *subscription) *subscription {
	*s = subscription{name: s.name, wanted: s.wanted, lapsed: true, refusals: s.refusals, link: t.link}
	if !s.wanted {
		t.channels.remove(s)
		return nil
	}
	t.begin(s, again)
	return s
}

// stuck reports whether the engine has left something unanswered for so long that the link is lost.
func (t *table) stuck(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sizes[asked] > 0 && now.Sub(t.progress) > 2*awaitTimeout
}

// settled reports whether the engine has answered for all subscriptions owed when the link was
// opened. Until returnTime has passed, it also waits for servers that answer and do not serve yet.
func (t *table) settled(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owed == 0 && (t.deaf.Load() == 0 || !t.returning || now.Sub(t.openedAt) >= returnTime)
}
