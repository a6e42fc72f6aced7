package broker

import "time"

// join is a join that is acknowledged when the subscription is in force.
type join struct {
	done  func(error)
	of    *joins
	till  time.Duration // since table.epoch
	next  *join         // of the same subscription, or the next one to tell
	later *join         // in joining
}

// joins are the waiting joins of one subscription, first come, first served: ordered by till. They
// are all answered in one step; then first is nil.
type joins struct {
	of          *subscription
	first, last *join
}

// joining holds all waiting joins.
type joining struct {
	waiting        map[*subscription]*joins
	waited         int   // largest size of waiting since that map was made
	oldest, newest *join // by till; some may have been answered
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

// tell answers j and the joins behind it.
func tell(j *join, err error) {
	for ; j != nil; j = j.next {
		j.done(err)
	}
}

// await adds a join, unless it can be answered at once.
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

// answer removes the joins of s and returns the first.
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

// shrinkAt is the size from which the map of waiting joins is replaced when it becomes empty,
// because Go's maps keep the memory of their largest size.
const shrinkAt = 1024

// answered notes that no join waits for s any more.
func (t *table) answered(s *subscription) {
	delete(t.waiting, s)
	if len(t.waiting) == 0 && t.waited >= shrinkAt {
		t.waiting, t.waited = map[*subscription]*joins{}, 0
	}
}

// overdue looks at MaxBatch joins and returns a list of those that have timed out. It reports
// whether there may be more.
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
		c.first, j.next = j.next, nil // j is the first in c, too
		all.push(j)
		if c.first == nil {
			t.answered(c.of)
		}
	}
	return all.first, t.oldest != nil
}
