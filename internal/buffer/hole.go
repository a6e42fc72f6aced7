package buffer

import (
	"slices"
	"unsafe"

	"wsify/internal/invariants"
)

// Hole is a part of a Buffer that some connections do not get.
type Hole struct {
	Start, End uint32   // of the bytes
	Messages   uint32   // that the bytes hold
	Conns      []uint64 // ids of the connections; shared and read-only
}

// holes are those of one buffer, in the order of their bytes.
type holes struct {
	list []Hole
	size int // bytes of memory
}

// Except makes all bytes of b a hole for conns, which b owns from then on. Only the sole owner may
// call it, once, and not for a joined buffer. No conns: there is no hole.
func (b *Buffer) Except(conns []uint64) {
	if invariants.Enabled {
		invariants.Check(b.Sole() && b.holes == nil, "I9: a hole in a buffer that is shared or has one")
	}
	if len(conns) > 0 {
		b.punch(Hole{End: uint32(b.Len()), Messages: uint32(b.Messages), Conns: conns})
	}
}

// Apart is Except, and makes a hole for nobody, too: the holes then tell where each message
// begins, also in a joined buffer.
func (b *Buffer) Apart(conns []uint64) {
	if b.Except(conns); b.holes == nil {
		b.punch(Hole{End: uint32(b.Len()), Messages: uint32(b.Messages)})
	}
}

func (b *Buffer) punch(h Hole) {
	if b.holes == nil {
		b.holes = new(holes)
	}
	b.holes.list = append(b.holes.list, h)
	b.holes.size += int(unsafe.Sizeof(h)) + 8*len(h.Conns)
}

// Holes returns the holes of b, nil when it has none. They are read-only.
func (b *Buffer) Holes() []Hole {
	if b.holes == nil {
		return nil
	}
	return b.holes.list
}

// Size is Len and the memory of the holes.
func (b *Buffer) Size() int {
	if b.holes == nil {
		return len(b.b)
	}
	return len(b.b) + b.holes.size
}

// Join appends the bytes, messages and holes of o. Only the sole owner of b may call it.
func (b *Buffer) Join(o *Buffer) {
	from := uint32(b.Len())
	b.Append(o.b, o.Messages)
	for _, h := range o.Holes() {
		h.Start, h.End = h.Start+from, h.End+from
		b.punch(h)
	}
}

// Without returns what conn gets of b: b itself, or a copy without the holes for conn. The caller
// releases it. It has no messages when conn gets nothing.
func (b *Buffer) Without(conn uint64) *Buffer {
	bytes, messages := 0, 0
	for _, h := range b.Holes() {
		if slices.Contains(h.Conns, conn) {
			bytes += int(h.End - h.Start)
			messages += int(h.Messages)
		}
	}
	if messages == 0 {
		return b.Retain()
	}
	own, from := New(b.Len()-bytes), uint32(0)
	for _, h := range b.Holes() {
		if slices.Contains(h.Conns, conn) {
			own.Append(b.b[from:h.Start], 0)
			from = h.End
		}
	}
	own.Append(b.b[from:], b.Messages-messages)
	return own
}
