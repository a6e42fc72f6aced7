package netpoll

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
)

func TestSlotsAreGivenOutOnceAndOldestFirst(t *testing.T) {
	var s slots
	r := rand.New(rand.NewPCG(1, 2))
	used := map[uint32]bool{}
	var taken, free []uint32 // free is the naive twin: a list
	for range 100_000 {
		if r.IntN(2) == 0 && len(taken) > 0 {
			at := r.IntN(len(taken))
			i := taken[at]
			taken[at] = taken[len(taken)-1]
			taken = taken[:len(taken)-1]
			delete(used, i)
			free = append(free, i)
			s.give(i)
			continue
		}
		i := s.take()
		if used[i] {
			t.Fatalf("slot %d was given out twice", i)
		}
		if len(free) > 0 {
			if i != free[0] {
				t.Fatalf("slot %d was given out, %d is free for longer", i, free[0])
			}
			free = free[1:]
		} else if int(i) != len(used) {
			t.Fatalf("slot %d was given out with %d in use: there is a gap", i, len(used))
		}
		used[i] = true
		taken = append(taken, i)
	}
	if int(s.next) > 4*len(s.ring) || len(s.ring) > 2*int(s.next)+16 {
		t.Errorf("the ring has %d places for %d slots", len(s.ring), s.next)
	}
}

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

// I4: two hundred thousand connections, one behind the other over a few slots.
func TestAnIDIsNeverUsedAgain(t *testing.T) {
	conns := 200_000
	if raceEnabled || invariants.Enabled {
		conns = 20_000 // an order slower
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
	for range atOnce { // all have closed when there is room for as many again
		room <- struct{}{}
	}
	on(t, g.Loop(0), func() {
		if len(seen) != conns || twice.Load() != 0 {
			t.Errorf("%d connections had %d IDs", conns, len(seen))
		}
		if n := g.Loop(0).slots.next; n > 20*atOnce {
			t.Errorf("%d slots were needed for %d connections at once", n, atOnce)
		}
	})
}

func TestASlotWhoseGenerationsAreUsedUpIsRetired(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, first := p.adopt()
	p.with(first, func(c *Conn) { c.Close(ReasonUser) })
	p.wantClosed(first, ReasonUser)
	p.rounds(4)
	on(t, p.l, func() { p.l.conns.At(slotOf(first)).id = makeID(0, slotOf(first), maxGeneration-1) })
	_, last := p.adopt()
	if generationOf(last) != maxGeneration || slotOf(last) != slotOf(first) {
		t.Fatalf("ID %x, the test needs the last generation of slot %d", last, slotOf(first))
	}
	p.with(last, func(c *Conn) { c.Close(ReasonUser) })
	p.wantClosed(last, ReasonUser)
	p.rounds(4)
	if _, next := p.adopt(); slotOf(next) == slotOf(last) {
		t.Errorf("slot %d is used again although its generations are used up", slotOf(next))
	}
}
