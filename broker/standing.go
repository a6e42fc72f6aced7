package broker

// standing is how far a subscription has come. All but the last two are lists: a subscription
// is on the list of its standing, and on no other.
type standing uint8

const (
	fresh       standing             = iota // to be asked for, first come first served
	again                                   // the same, but it was asked for before
	unreachable                             // its server is, while others are there
	resting                                 // the engine refused it; by at. There is one for each number of refusals in a row
	left        = resting + numRests        // in force, and nobody wants it; by at
	asked       = left + 1                  // for, and not answered
	inForce     = asked + 1                 // confirmed

	numLists     = asked
	numStandings = inForce + 1
)

// ends are those of a list. Any subscription is taken off in one step, and no step takes
// longer the more there are.
type ends struct{ first, last *subscription }

// put puts s, which has no standing, at the end of a list.
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
