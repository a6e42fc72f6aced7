package hub

import (
	"sync"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
	"wsify/internal/ring"
	"wsify/internal/slab"
)

// Memberships is the channels of one connection, and its class. The connection's owner
// keeps one beside its own state and passes it to its Local. The zero value has no
// channels, and is Raw.
type Memberships struct {
	head  uint32  // first membership; 0 = none
	count [3]byte // little-endian; see MaxMemberships
	// Class is set before the first Join, and then never changes.
	Class Class
}

// MaxMemberships is how many channels one connection may be a member of. The caller of
// Join sees to it.
const MaxMemberships = 1<<24 - 1

// Count returns how many channels the connection is a member of, without an implicit one.
func (m *Memberships) Count() int {
	return int(m.count[0]) | int(m.count[1])<<8 | int(m.count[2])<<16
}

func (m *Memberships) setCount(n int) {
	m.count = [3]byte{byte(n), byte(n >> 8), byte(n >> 16)}
}

// membership ties one connection to one part. There may be millions, so it holds no pointer
// and the garbage collector does not read it. Its connection is in the part's members.
type membership struct {
	part uint32 // in the Local's parts
	pos  uint32 // index in the part's members
	next uint32 // neighbours in the connection's list; 0 = none
	prev uint32
}

// Local is one loop's part of the hub. It belongs to the loop's goroutine, except
// for the due list.
type Local struct {
	hub         *Hub
	loop        int
	memberships slab.Pool[membership]
	parts       slab.Pool[*Part] // that have members

	// index finds a channel among many of one connection. For a connection with few
	// channels, find searches its list instead.
	index map[uint32]map[string]uint32

	active ring.Ring[*Part] // parts with something to deliver, in turn
	sweeps []*sweep         // unused ones

	implicit int     // memberships of implicit channels
	spare    []*Part // the empty list that is swapped with due

	delivered int64 // see Delivered
	current   *Part // whose members Next returned last

	mu  sync.Mutex // locked after a shard's lock, or alone
	due []*Part    // guarded by mu; scheduled by publishers, not yet active
}

// A connection gets an index with its membership number indexFrom, and keeps it
// while it has indexUntil. Because of the gap, a connection at the edge does not
// build an index with every join.
const (
	indexFrom  = 32
	indexUntil = 16
)

// Join makes conn a member of the channel and reports whether it was not one
// before. conn is a number that the loop chose; set belongs to that connection.
func (l *Local) Join(conn uint32, set *Memberships, name []byte) (joined bool) {
	if l.find(conn, set, name) != 0 {
		return false
	}
	index := l.hub.indexOf(name)
	s := &l.hub.shards[index]
	s.mu.Lock()
	ref := l.insertLocked(s, index, conn, set, name)
	s.mu.Unlock()
	l.link(conn, set, ref)
	return true
}

// insertLocked makes conn a member of the channel. It does not link the membership.
func (l *Local) insertLocked(s *shard, index, conn uint32, set *Memberships, name []byte) (ref uint32) {
	ref, m := l.memberships.Take()
	ch := s.channels[string(name)]
	if ch == nil {
		ch = s.createLocked(string(name), index)
	}
	p := ch.partOf(keyOf(l.loop, set.Class))
	if len(p.members) == 0 {
		l.name(p)
		ch.classes.Add(set.Class)
	}
	l.seal(p)
	*m = membership{part: p.ref, pos: p.insert(Member{Conn: conn, ref: ref})}
	ch.members++
	s.members += ch.counted()
	if ch.members == 1 {
		l.hub.watcher.Subscribe(ch.name)
	}
	return ref
}

// Owed returns, in one buffer, what was published to the channel while the connection was
// a member and Next has not returned yet; nil when there is nothing. A member is sent it
// before it leaves, so that it gets every publication made before the leave. The caller
// releases the buffer.
func (l *Local) Owed(conn uint32, set *Memberships, name []byte) *buffer.Buffer {
	ref := l.find(conn, set, name)
	if ref == 0 {
		return nil
	}
	return l.owed(ref)
}

// owed is Owed for one membership.
func (l *Local) owed(ref uint32) *buffer.Buffer {
	m := l.memberships.At(ref)
	p := l.part(m)
	s := &l.hub.shards[p.channel.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.owed(m.pos)
}

// EachOwed calls send with what Owed returns, for each channel of the connection that has
// something. send must not change memberships.
func (l *Local) EachOwed(set *Memberships, send func(*buffer.Buffer)) {
	for ref := set.head; ref != 0; ref = l.memberships.At(ref).next {
		if owed := l.owed(ref); owed != nil {
			send(owed)
		}
	}
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
	s.members -= ch.counted()
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

// part returns the part that m is a membership of.
func (l *Local) part(m *membership) *Part { return *l.parts.At(m.part) }

// name gives p a reference, which its memberships hold.
func (l *Local) name(p *Part) {
	var place **Part
	p.ref, place = l.parts.Take()
	*place = p
}

// unname frees the reference of a part without members.
func (l *Local) unname(p *Part) {
	*l.parts.At(p.ref) = nil
	l.parts.Give(p.ref)
}

// Trim frees the memory of ended memberships behind the last one in use, and memory
// kept for deliveries.
func (l *Local) Trim() {
	l.memberships.Trim()
	l.parts.Trim()
	l.sweeps = nil
}

// moved records that a member has a new index in its part.
func (l *Local) moved(m Member, pos uint32) {
	l.memberships.At(m.ref).pos = pos
}

// find returns the connection's membership of the channel, or 0.
func (l *Local) find(conn uint32, set *Memberships, name []byte) uint32 {
	if set.Count() >= indexUntil {
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

// link puts a membership at the head of the connection's list, or behind an implicit one.
func (l *Local) link(conn uint32, set *Memberships, ref uint32) {
	m := l.memberships.At(ref)
	before := &set.head
	if implicit(l.part(m).channel.name) {
		l.implicit++
	} else {
		if l.isImplicit(set.head) {
			m.prev = set.head
			before = &l.memberships.At(set.head).next
		}
		set.setCount(set.Count() + 1)
	}
	if m.next = *before; m.next != 0 {
		l.memberships.At(m.next).prev = ref
	}
	*before = ref
	count := set.Count()
	if count < indexUntil {
		return
	}
	if names := l.index[conn]; names != nil {
		names[l.part(m).channel.name] = ref
	} else if count >= indexFrom {
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
	count := set.Count()
	switch {
	case implicit(l.part(m).channel.name):
		l.implicit--
		delete(l.index[conn], l.part(m).channel.name)
		return // it was not counted
	case count > indexUntil:
		delete(l.index[conn], l.part(m).channel.name)
	case count == indexUntil:
		l.dropIndex(conn)
	}
	set.setCount(count - 1)
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
