package history

import "slices"

// Position is a place in the history of a channel: after the publication with this offset.
type Position struct {
	Epoch  string // of the history; another one means that the history was lost
	Offset uint64
}

// Entry is one publication.
type Entry[T any] struct {
	Position
	Prev  uint64 // the offset of the publication before
	At    int64  // when this node got it
	Size  int    // how many bytes of memory it keeps
	Value T
}

// Page is what an engine has of a channel: what follows a position, or the newest ones.
type Page[T any] struct {
	Entries  []Entry[T] // in order, each the successor of the one before
	From     uint64     // they are all publications after this offset, up to Tail
	Tail     Position   // of the newest publication
	Complete bool       // they are all that follows the position that was asked for
	Whole    bool       // the engine keeps no older ones
}

// Log is one channel on this node. New ones come from Set.New.
type Log[T any] struct {
	set    *Set[T]
	known  bool       // the log has a position
	gap    bool       // the members have to be told that something is missing before last
	behind bool       // something that was held back had to be dropped
	last   Position   // of the newest publication that Next has returned
	given  Position   // of the newest publication that the members were given
	floor  uint64     // newest holds all publications after this offset, up to last
	whole  bool       // newest holds all that the engine has
	newest []Entry[T] // the newest publications, in order
	held   []Entry[T] // arrived and not yet returned by Next, in order
	bytes  int        // of held

	older, newer *Log[T] // in the set's list
	listed       bool
}

// New returns a log without a position.
func (s *Set[T]) New() *Log[T] { return &Log[T]{set: s} }

// Close frees what the log keeps.
func (l *Log[T]) Close() {
	l.dropAll()
	l.dropHeld()
}

// Put adds a publication that has arrived. It reports false if it is a double.
func (l *Log[T]) Put(e Entry[T]) bool {
	if l.seen(&e) {
		return false
	}
	at := l.place(&e)
	if at < len(l.held) && l.held[at].Position == e.Position {
		return false
	}
	if len(l.held) > 0 && (l.bytes+e.Size > maxHeld || l.set.held+int64(e.Size) > max(l.set.Memory, leastHeld)) {
		l.dropHeld()
		l.behind = true
		return true
	}
	l.hold(at, e)
	return true
}

// seen reports whether e is not newer than what Next has returned.
func (l *Log[T]) seen(e *Entry[T]) bool {
	return l.known && e.Epoch == l.last.Epoch && e.Offset <= l.last.Offset
}

// place returns where e belongs in held. Within an epoch they are ordered by offset;
// epochs are in the order of their arrival.
func (l *Log[T]) place(e *Entry[T]) int {
	at := len(l.held)
	for i := at - 1; i >= 0; i-- {
		if l.held[i].Epoch != e.Epoch {
			if at < len(l.held) {
				break
			}
			continue // an epoch that came later
		}
		if l.held[i].Offset < e.Offset {
			return i + 1
		}
		at = i
	}
	return at
}

func (l *Log[T]) hold(at int, e Entry[T]) {
	l.held = slices.Insert(l.held, at, e)
	l.bytes += e.Size
	l.set.held += int64(e.Size)
}

func (l *Log[T]) dropHeld() {
	l.set.held -= int64(l.bytes)
	l.held, l.bytes = nil, 0
}

// forget drops what is held back from an epoch that is over.
func (l *Log[T]) forget(epoch string) {
	for len(l.held) > 0 && l.held[0].Epoch == epoch {
		l.takeHeld()
	}
}

// takeHeld removes the first of held.
func (l *Log[T]) takeHeld() Entry[T] {
	e := l.held[0]
	l.held[0] = Entry[T]{}
	l.held = l.held[1:]
	l.bytes -= e.Size
	l.set.held -= int64(e.Size)
	if len(l.held) == 0 {
		l.held = nil
	}
	return e
}

// Step is what has to be done next for the members of a channel.
type Step uint8

// The steps.
const (
	Idle    Step = iota // nothing
	Deliver             // give them the entry, then call Given
	Gap                 // tell them that something is missing before Position, then call Given
	Read                // read what follows Position from the engine, then call Fill or GiveUp
	Start               // read the tail from the engine, then call Begin or GiveUp
)

// Next returns the next step. The entry is set for Deliver only.
func (l *Log[T]) Next() (Step, Entry[T]) {
	var none Entry[T]
	for len(l.held) > 0 && l.seen(&l.held[0]) {
		l.takeHeld()
	}
	switch {
	case !l.known && len(l.held) == 0 && !l.behind:
		return Idle, none
	case !l.known:
		return Start, none
	case l.gap:
		l.gap = false
		return Gap, none
	case len(l.held) == 0 && l.behind:
		return Read, none
	case len(l.held) == 0:
		return Idle, none
	}
	if e := &l.held[0]; e.Epoch != l.last.Epoch {
		l.jump(Position{Epoch: e.Epoch})
		return l.Next()
	} else if e.Prev != l.last.Offset && !l.set.InOrder {
		return Read, none
	}
	e := l.takeHeld()
	l.last = e.Position
	l.keep(e)
	return Deliver, e
}

// Peek returns Read or Start if that is the next step, and else Idle.
func (l *Log[T]) Peek() Step {
	waits := l.behind || len(l.held) > 0
	switch {
	case !l.known && waits:
		return Start
	case !l.known || l.gap || !waits:
		return Idle
	case len(l.held) == 0:
		return Read
	}
	if e := &l.held[0]; e.Epoch == l.last.Epoch && e.Offset > l.last.Offset && e.Prev != l.last.Offset && !l.set.InOrder {
		return Read
	}
	return Idle
}

// Given says that the members have been given what Next has returned.
func (l *Log[T]) Given() { l.given = l.last }

// Position returns the position of the newest publication that Next has returned, and
// whether there is one.
func (l *Log[T]) Position() (Position, bool) { return l.last, l.known }

// jump goes on from another position, with a gap.
func (l *Log[T]) jump(to Position) {
	l.dropAll()
	l.last, l.floor, l.known, l.gap, l.whole = to, to.Offset, true, true, false
}

// Begin gives a log its first position. What has arrived since the subscription is in force
// and is not in the page follows. told says that members wait who do not know a position
// yet: they are told of a gap.
func (l *Log[T]) Begin(p Page[T], told bool) {
	if l.known {
		return
	}
	l.jump(p.Tail)
	l.gap, l.behind = told, false
	l.given = l.last
	l.Backfill(p)
}

// Fill adds what the engine has after the position after. It is known to be complete, or a
// gap of the members.
func (l *Log[T]) Fill(after Position, p Page[T]) {
	l.behind = false
	if !l.known || p.Complete && after.Epoch != l.last.Epoch || !p.Complete && after != l.last {
		return // the log has gone on meanwhile
	}
	if !p.Complete {
		to := p.Tail
		if len(p.Entries) > 0 {
			to.Offset = p.From
		}
		if to.Epoch != l.last.Epoch {
			l.forget(l.last.Epoch)
		}
		l.jump(to)
		after = to
	}
	for _, e := range p.Entries {
		e.Prev, after.Offset = after.Offset, e.Offset
		if l.seen(&e) {
			continue
		}
		if at := l.place(&e); at < len(l.held) && l.held[at].Position == e.Position {
			l.held[at].Prev = e.Prev
		} else {
			l.hold(at, e)
		}
	}
	l.link(after, p.Tail)
}

// link makes the publication behind the filled ones their successor, if the page is new
// enough to have it: what was between them is not kept any more.
func (l *Log[T]) link(after, tail Position) {
	for i := range l.held {
		if e := &l.held[i]; e.Epoch == tail.Epoch && e.Offset > after.Offset && e.Offset <= tail.Offset {
			e.Prev = after.Offset
			return
		}
	}
}

// GiveUp goes on with what is held back, behind a gap that cannot be read. It reports false
// if nothing is.
func (l *Log[T]) GiveUp() bool {
	l.behind = false
	if len(l.held) == 0 {
		return false
	}
	to := Position{l.held[0].Epoch, l.held[0].Prev}
	if to.Epoch == l.last.Epoch { // an engine that has forgotten the one before may say 0
		to.Offset = max(to.Offset, l.last.Offset)
	}
	l.jump(to)
	return true
}
