package broker

// standing is the state of a subscription. All but the last two are lists: a subscription is on the
// list of its standing, and on no other.
type standing uint8

const (
	fresh       standing             = iota // to be asked for, first come, first served
	again                                   // the same, but asked for before
	unreachable                             // the server of the channel is, while others are reachable
	resting                                 // refused by the engine; ordered by at. One list for each number of refusals in a row
	left        = resting + numRests        // in force, without members; ordered by at
	asked       = left + 1                  // asked for, and not answered
	inForce     = asked + 1                 // confirmed

	numLists     = asked
	numStandings = inForce + 1
)

// ends are the two ends of a list. Removing a subscription takes one step, and no operation takes
// longer with more subscriptions.
type ends struct{ first, last *subscription }

// put appends s, which has no standing, to a list.
func (t *table) put(s *subscription, to standing) {
	s.standing = to
	t.sizes[to]++
	if to >= numLists {
		return
	}
	l := &t.lists[to]
	if s.prev = l.last; s.prev == nil {
		l.first = s
	} else {
		s.prev.next = s
	}
	l.last = s
}

// takeOff is the opposite of put.
func (t *table) takeOff(s *subscription) {
	t.sizes[s.standing]--
	if s.standing >= numLists {
		return
	}
	l := &t.lists[s.standing]
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// move gives s another standing, at the end of its list.
func (t *table) move(s *subscription, to standing) {
	t.takeOff(s)
	t.put(s, to)
}
