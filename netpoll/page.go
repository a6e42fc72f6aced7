package netpoll

import "unsafe"

// page is a block of connections of one loop.
//
// It holds what its connections share, so that a Conn needs no pointer: the garbage
// collector reads only the first word of each page. With a million connections a
// collection takes 3 ms of CPU, as with none. With two pointers in each Conn it took 22
// ms (BenchmarkCollection).
type page struct {
	loop  *Loop
	first uint64 // ID of the first connection, without a generation
	conns [pageConns]Conn
}

// pageConns makes a page fill one of the allocator's sizes, 32 KiB.
const pageConns = 1023

// page returns the page of c. Every Conn lies in a page, at the index c.place.
func (c *Conn) page() *page {
	const head, size = unsafe.Offsetof(page{}.conns), unsafe.Sizeof(Conn{})
	return (*page)(unsafe.Add(unsafe.Pointer(c), -int(head+uintptr(c.place)*size)))
}

// pages holds the connections of a loop by slot: a slab whose chunks have a header.
// slab.Indexes gives low slots first, so pages at the end can be freed.
type pages struct {
	list []*page
	// born is the highest generation in any page that was freed. In a new page,
	// generations continue from there (I4).
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

// at returns the connection of a slot whose page exists.
func (p *pages) at(slot uint32) *Conn {
	return &p.list[slot/pageConns].conns[slot%pageConns]
}

func (p *pages) has(slot uint32) bool { return int(slot/pageConns) < len(p.list) }

// cut frees the pages from slot on, none of which is in use. It stops at a page
// whose generations are half used up: born must stay far from the maximum.
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

// worn returns the highest generation in the page.
func (p *page) worn() (generation uint32) {
	for i := range p.conns {
		generation = max(generation, p.conns[i].generation)
	}
	return generation
}

// Trim frees the memory of ended connections whose slots lie behind the last open one,
// and memory kept for queues. Only the loop's goroutine may call it.
func (l *Loop) Trim() {
	l.checkOwner()
	l.conns.cut(l.slots.Trim())
	l.queues.Trim()
}

// Slots returns a bound: every Slot in use is below it.
func (l *Loop) Slots() uint32 { return l.slots.Bound() }
