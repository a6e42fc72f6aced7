package history

// Limits bound what a Set keeps.
type Limits struct {
	// Size is how many publications of one channel are kept.
	Size int
	// Memory is how many bytes all publications together may keep. Above it, the channel that
	// was published to least recently loses all of them; the last channel its oldest.
	Memory int64
	// TTL is how long a publication is kept, in the unit of Entry.At. Zero means for ever.
	TTL int64
	// InOrder says that nothing is missing between two publications that arrive, whatever
	// their Prev says.
	InOrder bool
}

// maxHeld is how many bytes one log may hold back, and leastHeld how many all of them at
// least may. What is over the bound is dropped: the engine has it, so it is read from there.
const (
	maxHeld   = 1 << 20
	leastHeld = 4 << 20
)

// Set is the logs of a node. The zero value with Limits is ready to use.
type Set[T any] struct {
	Limits
	kept  int64   // bytes of all entries
	held  int64   // bytes that all logs hold back
	first *Log[T] // published to least recently; only logs with entries are in the list
	last  *Log[T]
}

// Kept returns how many bytes of publications are kept, and held back.
func (s *Set[T]) Kept() (kept, held int64) { return s.kept, s.held }

// push makes l the last to lose its entries.
func (s *Set[T]) push(l *Log[T]) {
	if s.last == l {
		return
	}
	s.remove(l)
	if l.older = s.last; l.older != nil {
		l.older.newer = l
	} else {
		s.first = l
	}
	s.last, l.listed = l, true
}

// remove takes l off the list.
func (s *Set[T]) remove(l *Log[T]) {
	if !l.listed {
		return
	}
	if l.older != nil {
		l.older.newer = l.newer
	} else {
		s.first = l.newer
	}
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		s.last = l.older
	}
	l.older, l.newer, l.listed = nil, nil, false
}

// bound frees entries until all together are within the limit.
func (s *Set[T]) bound() {
	for s.kept > s.Memory && s.first != nil {
		if s.first == s.last {
			s.first.dropOldest()
		} else {
			s.first.dropAll()
		}
	}
}
