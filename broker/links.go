package broker

import (
	"runtime"
	"time"
)

// opened begins with a link on which nothing is subscribed to, and returns how much
// has to be. Nothing is left of the link before.
func (t *table) opened(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.openedAt = true, now
	return t.owed
}

// linkLost notes that the link is lost: nothing is subscribed to any more. It returns the joins that
// waited. Each subscription learns of it when it is looked at, and by renewAll.
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

// renewAll makes all that there was before linkLost to be asked for again. It is over before
// there is another link.
func (t *table) renewAll() {
	for i := range channelParts {
		t.renewPart(i)
		runtime.Gosched() // or a goroutine that waits for the lock would not get it before the next part
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

// renew makes s what it is on a link that knows nothing of it, and returns it, or nil
// when nobody wants it.
func (t *table) renew(s *subscription) *subscription {
	*s = subscription{name: s.name, wanted: s.wanted, refusals: s.refusals, link: t.link}
	if !s.wanted {
		t.channels.remove(s)
		return nil
	}
	t.begin(s, again)
	return s
}

// stuck reports whether the engine has not answered something for so long that the
// link is of no use.
func (t *table) stuck(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sizes[asked] > 0 && now.Sub(t.progress) > 2*awaitTimeout
}

// settled reports whether the engine has answered for all that had to be subscribed to when
// the link was opened. Until returnTime has passed, servers that are there and do not serve yet
// are waited for, too.
func (t *table) settled(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owed == 0 && (t.deaf.Load() == 0 || !t.returning || now.Sub(t.openedAt) >= returnTime)
}
