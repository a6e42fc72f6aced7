package broker

import "time"

// join is one that is acknowledged when the subscription is in force.
type join struct {
	done  func(error)
	of    *joins
	till  time.Duration // since table.epoch
	next  *join         // of the same subscription, or behind it in what is told
	later *join         // in joining
}

// joins is those of one subscription, first come first served: by till. They are answered in
// one step, however many they are; then first is nil.
type joins struct {
	of          *subscription
	first, last *join
}

// joining is all joins that wait.
type joining struct {
	waiting        map[*subscription]*joins
	waited         int   // most keys of waiting since that map was made
	oldest, newest *join // by till; some of them are answered
}

func newJoining() joining { return joining{waiting: map[*subscription]*joins{}} }

func (c *joins) push(j *join) {
	if c.first == nil {
		c.first = j
	} else {
		c.last.next = j
	}
	c.last = j
}

// tell answers a join and those behind.
func tell(j *join, err error) {
	for ; j != nil; j = j.next {
		j.done(err)
	}
}

// await adds a join, unless the answer is known.
func (t *table) await(name string, done func(error), now time.Time) (pending bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	switch {
	case s == nil || s.standing == inForce || s.standing == left:
		return false, nil
	case !t.open, s.deaf && s.standing != asked:
		return false, ErrDown
	}
	c := t.waiting[s]
	if c == nil {
		c = &joins{of: s}
		t.waiting[s] = c
		t.waited = max(t.waited, len(t.waiting))
	}
	j := &join{done: done, of: c, till: now.Sub(t.epoch) + awaitTimeout}
	c.push(j)
	if t.oldest == nil {
		t.oldest = j
	} else {
		t.newest.later = j
	}
	t.newest = j
	return true, nil
}

// answer takes the joins of s, and returns the first.
func (t *table) answer(s *subscription) *join {
	c := t.waiting[s]
	if c == nil {
		return nil
	}
	first := c.first
	c.first = nil
	t.answered(s)
	return first
}

// shrinkAt is the size from which the map of waiting joins is made anew when it is
// empty: Go's maps keep the memory of their largest size.
const shrinkAt = 1024

// answered notes that nobody waits for s any more.
func (t *table) answered(s *subscription) {
	delete(t.waiting, s)
	if len(t.waiting) == 0 && t.waited >= shrinkAt {
		t.waiting, t.waited = map[*subscription]*joins{}, 0
	}
}

// overdue looks at MaxBatch joins and returns the first of those whose time is over.
// It reports whether there may be more of them.
func (t *table) overdue(now time.Time) (late *join, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all joins
	for range MaxBatch {
		j := t.oldest
		if j == nil || j.of.first != nil && now.Sub(t.epoch) < j.till {
			return all.first, false
		}
		t.oldest = j.later
		c := j.of
		if c.first == nil { // answered
			continue
		}
		c.first, j.next = j.next, nil // it is the first there, too
		all.push(j)
		if c.first == nil {
			t.answered(c.of)
		}
	}
	return all.first, t.oldest != nil
}
