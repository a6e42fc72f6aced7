package broker

import (
	"time"

	"wsify/broker/internal/link"
)

// waiter is a join that is acknowledged when the subscription is in force.
type waiter struct {
	done func(error)
	of   *crowd
	till time.Duration // since table.epoch
	next *waiter       // in crowd, or behind it in what is told
}

// crowd is those who wait for one subscription, first come first served: by till. It is
// answered in one step, however many they are.
type crowd struct {
	of          *subscription
	first, last *waiter
	answered    bool // it is not in table.waiting any more
}

// push adds a waiter.
func (c *crowd) push(w *waiter) {
	if c.first == nil {
		c.first = w
	} else {
		c.last.next = w
	}
	c.last = w
}

// pop takes off the one who came first.
func (c *crowd) pop() *waiter {
	w := c.first
	c.first, w.next = w.next, nil
	return w
}

// tell answers a waiter and those behind.
func tell(w *waiter, err error) {
	for ; w != nil; w = w.next {
		w.done(err)
	}
}

// await adds a waiter, unless the answer is known.
func (t *table) await(name []byte, done func(error), now time.Time) (pending bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(link.String(name))
	switch {
	case s == nil || s.standing == inForce:
		return false, nil
	case !t.open, s.deaf && s.standing == absent:
		return false, ErrDown
	}
	c := t.waiting[s]
	if c == nil {
		c = &crowd{of: s}
		t.waiting[s] = c
		t.waited = max(t.waited, len(t.waiting))
	}
	w := &waiter{done: done, of: c, till: now.Sub(t.epoch) + awaitTimeout}
	c.push(w)
	t.queue.push(w)
	return true, nil
}

// answer takes the waiters of s, and returns the first.
func (t *table) answer(s *subscription) *waiter {
	c := t.waiting[s]
	if c == nil {
		return nil
	}
	t.answered(c)
	return c.first
}

// shrinkAt is the size from which the map of those who wait is made anew when it is
// empty: Go's maps keep the memory of their largest size.
const shrinkAt = 1024

// answered notes that nobody waits in c any more.
func (t *table) answered(c *crowd) {
	c.answered = true
	delete(t.waiting, c.of)
	if len(t.waiting) == 0 && t.waited >= shrinkAt {
		t.waiting, t.waited = map[*subscription]*crowd{}, 0
	}
}

// overdue looks at MaxBatch waiters and returns the first of those whose time is over.
// It reports whether there may be more of them.
func (t *table) overdue(now time.Time) (late *waiter, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all crowd
	for range min(t.queue.size, MaxBatch) {
		w := t.queue.front()
		if !w.of.answered && now.Sub(t.epoch) < w.till {
			return all.first, false
		}
		t.queue.pop()
		if w.of.answered {
			continue
		}
		all.push(w.of.pop()) // which is w: both lists are by till
		if w.of.first == nil {
			t.answered(w.of)
		}
	}
	return all.first, t.queue.size > 0
}
