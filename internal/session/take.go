package session

import (
	"time"

	"wsify/broker"
	"wsify/internal/history"
)

// taken says what a join can do next.
type taken uint8

const (
	takeAll   taken = iota // all that is missed is in values: join now
	takeSome               // values fit into the queue, the rest follows: do not join yet
	takeLater              // the queue has no room
	takeRead               // the engine has to be asked
)

// take collects what a join gets next. It is called with the channel's shard locked, so no
// publication comes between what it collects and the membership. room is how many bytes may be
// queued; with idle, the first publication may be larger.
func (t *trackers) take(r *recovery, room int, idle bool) taken {
	t.mu.Lock()
	defer t.mu.Unlock()
	given, known := r.track.log.GivenPosition()
	if !known {
		return takeRead
	}
	r.at = broker.Position(given)
	if complete := t.collect(r, given); !complete && !t.hopeless(r) {
		r.values = r.values[:0]
		return takeRead
	} else if !complete {
		r.lost, r.values = true, r.values[:0]
	}
	for i, k := range r.values {
		if room -= len(k.content) + frameOverhead; room < 0 && (i > 0 || !idle) {
			r.values = r.values[:i]
			if i == 0 {
				return takeLater
			}
			return takeSome
		}
	}
	return takeAll
}

// frameOverhead is what is sent with a publication besides its content, roughly.
const frameOverhead = 64

// collect collects what a join gets, from the log and the last page, and reports whether that
// is all. Needs mu.
func (t *trackers) collect(r *recovery, given history.Position) (complete bool) {
	log, now := r.track.log, time.Now().UnixNano()
	switch {
	case r.last > 0:
		if r.values, complete = log.Newest(r.values[:0], r.last, now); !complete && r.page != nil {
			r.values, complete = t.collectPage(r, given, 0)
			r.values = r.values[max(len(r.values)-r.last, 0):]
		}
		return complete || r.tries >= maxTries
	case !r.asked && !r.sent:
		r.values = r.values[:0]
		return true
	}
	since := history.Position(r.since)
	if r.values, complete = log.After(r.values[:0], since, now); !complete && r.page != nil && r.page.Complete &&
		since.Epoch == r.page.Tail.Epoch && since.Offset >= r.page.From && since.Offset <= r.page.Tail.Offset && since.Offset <= given.Offset {
		r.values, complete = t.collectPage(r, given, since.Offset)
	}
	return complete
}

// collectPage collects what follows an offset in the last page, and then in the log.
func (t *trackers) collectPage(r *recovery, given history.Position, after uint64) (values []*record, complete bool) {
	values = r.values[:0]
	if r.page.Tail.Epoch != given.Epoch {
		return values, false
	}
	for _, e := range r.page.Entries {
		if e.Offset > after && e.Offset <= given.Offset {
			values = append(values, e.Value)
		}
	}
	if r.page.Tail.Offset >= given.Offset {
		return values, true
	}
	return r.track.log.After(values, r.page.Tail, time.Now().UnixNano())
}

// hopeless reports whether the engine does not help a join that the log cannot serve.
func (t *trackers) hopeless(r *recovery) bool {
	return r.last == 0 && (r.since == broker.Position{} || r.tries >= maxTries || r.track.answer.denies(r.since, r.began))
}

// await makes a join wait for an answer of the engine.
func (t *trackers) await(r *recovery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.track.waiting = append(r.track.waiting, r)
	t.orderLocked(r.track)
}

// position returns the position that the members of a channel have reached; zero if it is not
// known.
func (t *trackers) position(tr *tracker) broker.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	given, _ := tr.log.GivenPosition()
	return broker.Position(given)
}

// grow counts the memory of a new form.
func (t *trackers) grow(tr *tracker, k *record, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr.log.Grow(history.Position(k.head.Position), n)
}
