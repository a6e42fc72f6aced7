package broker

import (
	"time"

	"wsify/broker/internal/link"
)

// Channels whose server is away, while others of the engine are there, are not asked for
// one by one all the time: there may be hundreds of thousands. They are in table.away until
// the link says that something has changed, or the one of them that is asked for every
// probeInterval is in force. Who joins one, or publishes to it, is told that it is away.

// keepAway notes that the server of s is away.
func (t *table) keepAway(s *subscription) {
	s.listed = true
	t.away.push(s)
}

// returned lets all whose server was away be asked for again.
func (t *table) returned() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again.join(&t.away)
}

// probeAway lets one of those whose server is away be asked for, when it is time to.
func (t *table) probeAway(now time.Duration) {
	if now < t.probing {
		return
	}
	for range min(t.away.size, MaxBatch) {
		s := t.away.pop()
		if s.wanted {
			t.again.push(s)
			t.probe, t.probing = s, now+probeInterval
			return
		}
		t.drop(s)
	}
}

// probed notes what came of asking for s.
func (t *table) probed(s *subscription, away bool) {
	if s != t.probe {
		return
	}
	t.probe = nil
	if !away {
		t.again.join(&t.away)
	}
}

// tidy is called for each channel that is left while its server is away. It looks at two
// that are: so those that nobody wants are never many more than the others.
func (t *table) tidy() {
	for range min(t.away.size, 2) {
		if s := t.away.pop(); s.wanted {
			t.away.push(s)
		} else {
			t.drop(s)
		}
	}
}

// setHeard notes whether what is published to the channel of s may be heard.
func (t *table) setHeard(s *subscription, heard bool) {
	if s.deaf != heard {
		return
	}
	s.deaf = !heard
	one := 1
	if heard {
		one = -1
	}
	t.deaf.Add(int64(one))
	if s.owed {
		t.owedDeaf += one
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
	s := t.find(link.String(name))
	return s != nil && s.deaf && s.wanted
}
