package hub

import (
	"sync"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
	"wsify/internal/slab"
)

// Memberships is the channels of one connection. The connection's owner keeps one
// beside its own state and passes it to its Local; the zero value is none.
type Memberships struct {
	head  uint32 // first membership, as index+1; 0 = none
	count uint32
}

// Count returns how many channels the connection is a member of.
func (m *Memberships) Count() int { return int(m.count) }

// membership ties one connection to one part.
type membership struct {
	part *Part
	pos  uint32 // place in part.members
	conn uint32
	next uint32 // neighbours in the connection's list, as index+1; 0 = none
	prev uint32
}

// Local is a loop's door to the hub. It belongs to the loop's goroutine, except
// for the due list.
type Local struct {
	hub         *Hub
	loop        int
	memberships slab.Slab[membership]
	used        uint32 // indexes handed out since the slab was last empty
	inUse       uint32 // memberships there are
	free        uint32 // first free membership, as index+1, linked by next

	// index finds a channel among many of one connection; a connection with few
	// is searched in its list instead.
	index map[uint32]map[string]uint32

	active deque    // parts with something to deliver, in turn
	sweeps []*sweep // unused ones
	spare  []*Part  // the empty list that changes places with due

	delivered int64 // see Delivered

	mu  sync.Mutex // locked after a shard's lock, or alone
	due []*Part    // guarded by mu; scheduled by publishers, not yet active
}

// A connection gets an index with its membership number indexFrom, and keeps it
// while it has indexUntil. The gap spares a connection at the edge from building
// one with every join.
const (
	indexFrom  = 32
	indexUntil = 16
)

// keepMemberships is how many memberships' memory a Local without any keeps.
const keepMemberships = 4096

// Join makes conn a member of the channel and reports whether it was not one.
// conn is a number the loop chose; set is that connection's.
func (l *Local) Join(conn uint32, set *Memberships, name []byte) (joined bool) {
	if l.find(conn, set, name) != 0 {
		return false
	}
	ref := l.take()
	m := l.memberships.At(ref - 1)
	s := l.hub.shardOf(name)
	s.mu.Lock()
	ch := s.channels[string(name)]
	if ch == nil {
		ch = s.createLocked(string(name))
	}
	*m = membership{part: ch.partOf(l.loop), conn: conn}
	l.seal(m.part)
	m.pos = m.part.insert(Member{Conn: conn, ref: ref})
	ch.members++
	s.members++
	if ch.members == 1 {
		l.hub.watcher.Subscribe(ch.name)
	}
	s.mu.Unlock()
	l.link(conn, set, ref)
	return true
}

// Owed returns what was published to the channel while the connection was a member
// of it and has not been handed out by Next yet, in one buffer; nil when there is
// nothing. Who is about to leave is sent it first, so that a broadcast that came
// before the leave is heard. The caller releases it.
func (l *Local) Owed(conn uint32, set *Memberships, name []byte) *buffer.Buffer {
	ref := l.find(conn, set, name)
	if ref == 0 {
		return nil
	}
	m := l.memberships.At(ref - 1)
	s := l.hub.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.part.owed(m.pos)
}

// Leave ends a membership and reports whether there was one.
func (l *Local) Leave(conn uint32, set *Memberships, name []byte) (left bool) {
	ref := l.find(conn, set, name)
	if ref == 0 {
		return false
	}
	l.end(conn, set, ref)
	return true
}

// LeaveAll ends every membership of the connection (I8).
func (l *Local) LeaveAll(conn uint32, set *Memberships) {
	for set.head != 0 {
		l.end(conn, set, set.head)
	}
}

// end takes one membership out of the hub and the connection's list.
func (l *Local) end(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref - 1)
	if invariants.Enabled {
		invariants.Check(m.conn == conn && m.part.members[m.pos] == Member{Conn: conn, ref: ref},
			"I8: membership %d of connection %d is not in its part at %d", ref, conn, m.pos)
	}
	ch := m.part.channel
	l.unlink(conn, set, ref)
	s := l.hub.shardOfName(ch.name)
	s.mu.Lock()
	m.part.remove(m.pos, l.moved)
	ch.members--
	s.members--
	if ch.members == 0 {
		s.removeLocked(ch)
		l.hub.watcher.Unsubscribe(ch.name)
	}
	s.mu.Unlock()
	l.give(ref)
}

// moved notes that a member has got another place in its part.
func (l *Local) moved(m Member, pos uint32) {
	l.memberships.At(m.ref - 1).pos = pos
}

// find returns the connection's membership of the channel as index+1, or 0.
func (l *Local) find(conn uint32, set *Memberships, name []byte) uint32 {
	if set.count >= indexUntil {
		if names := l.index[conn]; names != nil {
			return names[string(name)]
		}
	}
	for ref := set.head; ref != 0; {
		m := l.memberships.At(ref - 1)
		if m.part.channel.name == string(name) {
			return ref
		}
		ref = m.next
	}
	return 0
}

// link puts a membership at the head of the connection's list.
func (l *Local) link(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref - 1)
	m.next = set.head
	if m.next != 0 {
		l.memberships.At(m.next - 1).prev = ref
	}
	set.head = ref
	set.count++
	if set.count < indexUntil {
		return
	}
	if names := l.index[conn]; names != nil {
		names[m.part.channel.name] = ref
	} else if set.count >= indexFrom {
		l.buildIndex(conn, set)
	}
}

// unlink takes a membership out of the connection's list.
func (l *Local) unlink(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref - 1)
	if m.prev != 0 {
		l.memberships.At(m.prev - 1).next = m.next
	} else {
		set.head = m.next
	}
	if m.next != 0 {
		l.memberships.At(m.next - 1).prev = m.prev
	}
	switch {
	case set.count > indexUntil:
		delete(l.index[conn], m.part.channel.name)
	case set.count == indexUntil:
		l.dropIndex(conn)
	}
	set.count--
}

func (l *Local) buildIndex(conn uint32, set *Memberships) {
	names := make(map[string]uint32, 2*indexFrom)
	for ref := set.head; ref != 0; {
		m := l.memberships.At(ref - 1)
		names[m.part.channel.name] = ref
		ref = m.next
	}
	if l.index == nil {
		l.index = make(map[uint32]map[string]uint32)
	}
	l.index[conn] = names
}

// dropIndex forgets the connection's index, and the map of all of them with the
// last one: Go's maps keep the memory of their largest size.
func (l *Local) dropIndex(conn uint32) {
	delete(l.index, conn)
	if len(l.index) == 0 {
		l.index = nil
	}
}

// take returns a free membership as index+1.
func (l *Local) take() uint32 {
	l.inUse++
	if l.free == 0 {
		l.memberships.Grow(l.used)
		l.used++
		return l.used
	}
	ref := l.free
	l.free = l.memberships.At(ref - 1).next
	return ref
}

// give makes a membership free. With the last one goes the memory of many.
func (l *Local) give(ref uint32) {
	*l.memberships.At(ref - 1) = membership{next: l.free}
	l.free = ref
	l.inUse--
	if l.inUse == 0 && l.used > keepMemberships {
		l.memberships, l.used, l.free = slab.Slab[membership]{}, 0, 0
	}
}
