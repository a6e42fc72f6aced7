package session

import (
	"slices"

	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/netpoll"
)

// own returns the ids of the connections of this node among those that a publication leaves out.
func (n *Node) own(except []string) (conns []uint64) {
	for _, name := range except {
		if id, ours := n.parseConnID(name); ours {
			conns = append(conns, id)
		}
	}
	return conns
}

// giveAround is give for bytes with holes. A member that is left out of some of them gets a copy of
// the others; all other members share b.
func (l *loop) giveAround(b *buffer.Buffer, members []hub.Member, gather bool) {
	if l.hub.Class() == hub.Streams {
		l.giveEach(b, members, gather)
		return
	}
	out := l.leftOut(b)
	from := 0
	for i, m := range members {
		id := l.net.ConnAt(m.Conn).ID()
		if _, found := slices.BinarySearch(out, id); !found {
			continue
		}
		l.give(b, members[from:i], gather)
		from = i + 1
		own := b.Without(id)
		if own.Messages > 0 {
			l.give(own, members[i:from], gather)
		}
		own.Release()
	}
	l.give(b, members[from:], gather)
}

// without returns what one connection gets of bytes with holes. The caller releases it.
func (l *loop) without(c *netpoll.Conn, b *buffer.Buffer) *buffer.Buffer {
	if l.session(c).subs.Class == hub.Streams {
		return l.own(c, b)
	}
	return b.Without(c.ID())
}

// leftOut returns the connections of this loop for which b has a hole, sorted.
func (l *loop) leftOut(b *buffer.Buffer) (out []uint64) {
	for _, h := range b.Holes() {
		for _, id := range h.Conns {
			if loop, _ := netpoll.Place(id); loop == l.net.Index() {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}
