package netpoll

import (
	"reflect"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
)

func TestAnIDHoldsLoopSlotAndGeneration(t *testing.T) {
	for _, tc := range []struct {
		loop             int
		slot, generation uint32
	}{{0, 0, 1}, {maxLoops - 1, maxSlots - 1, maxGeneration}, {3, 77, 1 << 31}} {
		id := makeID(tc.loop, tc.slot, tc.generation)
		if loopOf(id) != tc.loop || slotOf(id) != tc.slot || generationOf(id) != tc.generation {
			t.Errorf("makeID(%+v) = %x, which reads %d, %d, %d", tc, id, loopOf(id), slotOf(id), generationOf(id))
		}
	}
}

// I4: two hundred thousand connections, one after the other on a few slots.
func TestAnIDIsNeverUsedAgain(t *testing.T) {
	conns := 200_000
	if raceEnabled || invariants.Enabled {
		conns = 20_000 // ten times slower
	}
	const atOnce = 64
	seen := make(map[uint64]bool, conns)
	var twice atomic.Int64
	room := make(chan struct{}, atOnce)
	g := start(t, Config{Loops: 1}, &hooks{
		opened: func(c *Conn) {
			if seen[c.ID()] {
				twice.Add(1)
			}
			seen[c.ID()] = true
			c.Close(ReasonUser)
		},
		closed: func(*Conn, Reason) { <-room },
	})
	ours, _ := socketPair(t)
	defer unix.Close(ours)
	for range conns {
		room <- struct{}{}
		fd, err := unix.FcntlInt(uintptr(ours), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Adopt(fd, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range atOnce { // all have closed once as many fit again
		room <- struct{}{}
	}
	on(t, g.Loop(0), func() {
		if len(seen) != conns || twice.Load() != 0 {
			t.Errorf("%d connections had %d IDs", conns, len(seen))
		}
		if n := g.Loop(0).slots.Bound(); n > 20*atOnce {
			t.Errorf("%d slots were needed for %d connections at once", n, atOnce)
		}
	})
}

func TestASlotWhoseGenerationsAreUsedUpIsRetired(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, first := p.adopt()
	p.end(first)
	on(t, p.l, func() {
		for i := range p.l.conns.list[0].conns {
			p.l.conns.list[0].conns[i].generation = maxGeneration - 1
		}
	})
	_, last := p.adopt()
	if generationOf(last) != maxGeneration {
		t.Fatalf("ID %x, the test needs the last generation of a slot", last)
	}
	for range 64 {
		p.end(last)
		_, next := p.adopt()
		if generationOf(next) != maxGeneration {
			t.Fatalf("ID %x after %x: its generations are used up", next, last)
		}
		last = next
	}
}

// end closes a connection and waits until its slot may be used again.
func (p *probe) end(id uint64) {
	p.t.Helper()
	p.with(id, func(c *Conn) { c.Close(ReasonUser) })
	p.wantClosed(id, ReasonUser)
	p.rounds(4)
}

func generationOf(id uint64) uint32 { return uint32(id) }

// The garbage collector must not read a million connections one by one.
func TestAConnIsSmallAndHasNoPointer(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n != 32 {
		t.Errorf("a Conn has %d bytes, want 32", n)
	}
	for f := range reflect.TypeFor[Conn]().Fields() {
		if kind := f.Type.Kind(); kind > reflect.Float64 && f.Type != reflect.TypeFor[[3]byte]() {
			t.Errorf("Conn.%s is a %s", f.Name, kind)
		}
	}
	if n := unsafe.Sizeof(page{}) + 8; n > 32<<10 || n+unsafe.Sizeof(Conn{}) < 32<<10 {
		t.Errorf("a page has %d bytes, the allocator's word included", n)
	}
}

func TestEveryConnFindsItsLoop(t *testing.T) {
	l := &Loop{index: 7}
	l.conns.grow(l, 3*pageConns)
	for slot := range uint32(4 * pageConns) {
		if c := l.conns.at(slot); c.Loop() != l || c.Slot() != slot || c.ID() != makeID(7, slot, 0) {
			t.Fatalf("slot %d: loop %p, slot %d, ID %x", slot, c.Loop(), c.Slot(), c.ID())
		}
	}
}

// Pages at the end are freed, and new pages in their place have new IDs.
func TestTrimGivesBackThePagesBehindTheLastConnection(t *testing.T) {
	l := &Loop{}
	connect := func() *Conn {
		slot := l.slots.Take()
		l.conns.grow(l, slot)
		c := l.conns.at(slot)
		c.generation++
		return c
	}
	var all []*Conn
	for range 10 * pageConns {
		all = append(all, connect())
	}
	seen := map[uint64]bool{}
	for _, c := range all {
		seen[c.ID()] = true
		if c.Slot() != 100 {
			l.slots.Give(c.Slot())
		}
	}
	l.conns.cut(l.slots.Trim())
	if n := len(l.conns.list); n != 1 || l.conns.has(pageConns) || l.conns.at(100) != all[100] {
		t.Fatalf("%d pages are kept for one connection", n)
	}
	for range 10*pageConns - 1 {
		if c := connect(); seen[c.ID()] {
			t.Fatalf("ID %x was used before", c.ID())
		}
	}
}

// A page with a connection near its last generation is kept: a new page in its
// place would begin there.
func TestTrimKeepsWornPages(t *testing.T) {
	l := &Loop{}
	l.conns.grow(l, 3*pageConns-1)
	l.conns.at(pageConns).generation = maxGeneration/2 + 1
	l.conns.cut(0)
	if n := len(l.conns.list); n != 2 || l.conns.born != 0 {
		t.Errorf("%d pages are kept, and others begin with generation %d", n, l.conns.born)
	}
}
