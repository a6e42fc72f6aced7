package hub

// listSlice is how many channels Each reads while it holds the lock of a shard.
const listSlice = 512

// listed is a channel that Each has read.
type listed struct {
	name    string
	members int
}

// Each calls fn for each channel that has members and is not implicit, in no order, until fn returns false. It locks a
// shard for a slice of its channels at a time, and no lock is held while fn runs. A channel that
// exists all the time is visited once. One that is made or removed meanwhile may be missed, or be
// visited twice.
func (h *Hub) Each(fn func(name string, members int) (more bool)) {
	slice := make([]listed, 0, listSlice)
	for i := range h.shards {
		if !h.shards[i].each(slice, fn) {
			return
		}
	}
}

// each is Each for one shard. slice is empty memory.
//
// The lock is given up in the middle of a range over the map. That is a legal change of a map while
// it is ranged over: the lock orders it. When removeLocked has replaced the map, the range goes on
// over the old one; channels that were removed since have no members.
func (s *shard) each(slice []listed, fn func(name string, members int) (more bool)) (more bool) {
	pass := func() bool {
		for _, ch := range slice {
			if !fn(ch.name, ch.members) {
				return false
			}
		}
		slice = slice[:0]
		return true
	}
	s.mu.Lock()
	for _, ch := range s.channels {
		if ch.members > 0 && !implicit(ch.name) {
			slice = append(slice, listed{ch.name, int(ch.members)})
		}
		if len(slice) == cap(slice) {
			s.mu.Unlock()
			if !pass() {
				return false
			}
			s.mu.Lock()
		}
	}
	s.mu.Unlock()
	return pass()
}

// Count returns how many members a channel has on this node.
func (h *Hub) Count(name string) int {
	s := h.shardOf([]byte(name))
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.channels[name]; ch != nil {
		return int(ch.members)
	}
	return 0
}

// Names returns the channels of a connection but an implicit one, the latest first, and at most
// this many.
func (l *Local) Names(set *Memberships, most int) (names []string) {
	first := set.head
	if l.isImplicit(first) {
		first = l.memberships.At(first).next
	}
	for ref := first; ref != 0 && len(names) < most; {
		m := l.memberships.At(ref)
		names = append(names, l.part(m).channel.name)
		ref = m.next
	}
	return names
}
