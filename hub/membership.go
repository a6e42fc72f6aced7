package hub

import (
	"sync"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
	"wsify/internal/ring"
	"wsify/internal/slab"
)

// Memberships is the channels of one connection. The connection's owner keeps one
// beside its own state and passes it to its Local; the zero value is none.
type Memberships struct {
	head  uint32 // first membership; 0 = none
	count uint32
}

// Count returns how many channels the connection is a member of.
func (m *Memberships) Count() int { return int(m.count) }

// membership ties one connection to one part. There may be millions, so it holds no
// pointer: the collector has nothing to read. Whose it is stands in the part's members.
type membership struct {
	part uint32 // in the Local's parts
	pos  uint32 // place in the part's members
	next uint32 // neighbours in the connection's list; 0 = none
	prev uint32
}

// Local is a loop's door to the hub. It belongs to the loop's goroutine, except
// for the due list.
type Local struct {
	hub         *Hub
	loop        int
	memberships slab.Pool[membership]
	parts       slab.Pool[*Part] // that have members

	// index finds a channel among many of one connection; a connection with few
	// is searched in its list instead.
	index map[uint32]map[string]uint32

	active ring.Ring[*Part] // parts with something to deliver, in turn
	sweeps []*sweep         // unused ones
	spare  []*Part          // the empty list that changes places with due

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

// Join makes conn a member of the channel and reports whether it was not one.
// conn is a number the loop chose; set is that connection's.
func (l *Local) Join(conn uint32, set *Memberships, name []byte) (joined bool) {
	if l.find(conn, set, name) != 0 {
		return false
	}
	ref, m := l.memberships.Take()
	index := l.hub.indexOf(name)
	s := &l.hub.shards[index]
	s.mu.Lock()
	ch := s.channels[string(name)]
	if ch == nil {
		ch = s.createLocked(string(name), index)
	}
	p := ch.partOf(l.loop)
	if len(p.members) == 0 {
		l.name(p)
	}
	l.seal(p)
	*m = membership{part: p.ref, pos: p.insert(Member{Conn: conn, ref: ref})}
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
// nothing. A member that is about to leave is sent it first, so that a broadcast that came
// before the leave is heard. The caller releases it.
func (l *Local) Owed(conn uint32, set *Memberships, name []byte) *buffer.Buffer {
	ref := l.find(conn, set, name)
	if ref == 0 {
		return nil
	}
	m := l.memberships.At(ref)
	s := l.hub.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.part(m).owed(m.pos)
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
	m := l.memberships.At(ref)
	p := l.part(m)
	if invariants.Enabled {
		invariants.Check(p.members[m.pos] == Member{Conn: conn, ref: ref},
			"I8: membership %d of connection %d is not in its part at %d", ref, conn, m.pos)
	}
	ch := p.channel
	l.unlink(conn, set, ref)
	s := &l.hub.shards[ch.shard]
	s.mu.Lock()
	p.remove(m.pos, l.moved)
	if len(p.members) == 0 {
		ch.drop(p)
	}
	ch.members--
	s.members--
	if ch.members == 0 {
		s.removeLocked(ch)
		l.hub.watcher.Unsubscribe(ch.name)
	}
	s.mu.Unlock()
	if len(p.members) == 0 {
		l.unname(p)
	}
	l.memberships.Give(ref)
}

// part returns what m is a membership of.
func (l *Local) part(m *membership) *Part { return *l.parts.At(m.part) }

// name gives p a reference, by which its memberships know it.
func (l *Local) name(p *Part) {
	var place **Part
	p.ref, place = l.parts.Take()
	*place = p
}

// unname takes the reference of a part without members back.
func (l *Local) unname(p *Part) {
	*l.parts.At(p.ref) = nil
	l.parts.Give(p.ref)
}

// Trim gives back the memory of memberships that have ended, as far as it lies behind
// the last there is, and what is kept for deliveries.
func (l *Local) Trim() {
	l.memberships.Trim()
	l.parts.Trim()
	l.sweeps = nil
}

// moved notes that a member has got another place in its part.
func (l *Local) moved(m Member, pos uint32) {
	l.memberships.At(m.ref).pos = pos
}

// find returns the connection's membership of the channel, or 0.
func (l *Local) find(conn uint32, set *Memberships, name []byte) uint32 {
	if set.count >= indexUntil {
		if names := l.index[conn]; names != nil {
			return names[string(name)]
		}
	}
	for ref := set.head; ref != 0; {
		m := l.memberships.At(ref)
		if l.part(m).channel.name == string(name) {
			return ref
		}
		ref = m.next
	}
	return 0
}

// link puts a membership at the head of the connection's list.
func (l *Local) link(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref)
	m.next = set.head
	if m.next != 0 {
		l.memberships.At(m.next).prev = ref
	}
	set.head = ref
	set.count++
	if set.count < indexUntil {
		return
	}
	if names := l.index[conn]; names != nil {
		names[l.part(m).channel.name] = ref
	} else if set.count >= indexFrom {
		l.buildIndex(conn, set)
	}
}

// unlink takes a membership out of the connection's list.
func (l *Local) unlink(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref)
	if m.prev != 0 {
		l.memberships.At(m.prev).next = m.next
	} else {
		set.head = m.next
	}
	if m.next != 0 {
		l.memberships.At(m.next).prev = m.prev
	}
	switch {
	case set.count > indexUntil:
		delete(l.index[conn], l.part(m).channel.name)
	case set.count == indexUntil:
		l.dropIndex(conn)
	}
	set.count--
}

func (l *Local) buildIndex(conn uint32, set *Memberships) {
	names := make(map[string]uint32, 2*indexFrom)
	for ref := set.head; ref != 0; {
		m := l.memberships.At(ref)
		names[l.part(m).channel.name] = ref
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
