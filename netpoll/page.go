package netpoll

import "unsafe"

// page is connections of one loop in a row.
//
// What many connections have in common is here, so that a Conn needs no pointer: the
// collector reads the first word of each page and nothing else of it. Beside a million
// a collection takes 3 ms of CPU, as beside none; with two pointers in each Conn it took
// 22 (BenchmarkCollection).
type page struct {
	loop  *Loop
	first uint64 // ID of the first connection, without a generation
	conns [pageConns]Conn
}

// pageConns fills one of the allocator's sizes, 32 KiB.
const pageConns = 1023

// page returns where c lies. A Conn lies in a page and nowhere else, at its place.
func (c *Conn) page() *page {
	const head, size = unsafe.Offsetof(page{}.conns), unsafe.Sizeof(Conn{})
	return (*page)(unsafe.Add(unsafe.Pointer(c), -int(head+uintptr(c.place)*size)))
}

// pages is the connections of a loop by slot: a slab whose chunks have a head. The
// slots' order is that of slab.Indexes, so the end can be given back.
type pages struct {
	list []*page
	// born is the highest generation of any connection whose page was given back.
	// Where its place is made again, IDs go on from there (I4).
	born uint32
}

// grow makes room for a slot of l.
func (p *pages) grow(l *Loop, slot uint32) {
	for n := len(p.list); n <= int(slot/pageConns); n++ {
		fresh := &page{loop: l, first: makeID(l.index, uint32(n)*pageConns, 0)}
		for i := range fresh.conns {
			c := &fresh.conns[i]
			c.place, c.generation, c.fd = uint16(i), p.born, -1
		}
		p.list = append(p.list, fresh)
	}
}

// at returns the connection of a slot that there is room for.
func (p *pages) at(slot uint32) *Conn {
	return &p.list[slot/pageConns].conns[slot%pageConns]
}

func (p *pages) has(slot uint32) bool { return int(slot/pageConns) < len(p.list) }

// cut gives back the pages from a slot on, none of which is in use. Those that are
// worn half are kept, and those before them: born must not come near the end.
func (p *pages) cut(slot uint32) {
	for n := len(p.list); n > int((slot+pageConns-1)/pageConns); n-- {
		worn := p.list[n-1].worn()
		if worn > maxGeneration/2 {
			return
		}
		p.born = max(p.born, worn)
		p.list[n-1], p.list = nil, p.list[:n-1]
	}
}

// worn is the highest generation in the page.
func (p *page) worn() (generation uint32) {
	for i := range p.conns {
		generation = max(generation, p.conns[i].generation)
	}
	return generation
}

// Trim gives back the memory that connections had which have ended, as far as it lies
// behind the last open one, and what was kept for queues. Only the loop's goroutine may
// call it.
func (l *Loop) Trim() {
	l.checkOwner()
	l.conns.cut(l.slots.Trim())
	l.queues.Trim()
}

// Slots returns a number that every Slot in use is below.
func (l *Loop) Slots() uint32 { return l.slots.Bound() }
