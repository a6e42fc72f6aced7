package netpoll

import (
	"slices"
	"testing"
	"time"
)

func TestTheAgeOfAConnectionIsKnownToASecond(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	at := 100*time.Hour + 999*time.Millisecond
	on(t, p.l, func() { p.l.now = func() time.Duration { return at } })
	_, id := p.connect()
	for _, passed := range []time.Duration{0, time.Second, time.Hour, (1<<24 - 1) * time.Second} {
		p.with(id, func(c *Conn) {
			p.l.now = func() time.Duration { return at + passed }
			if got := c.Age(); got != passed {
				t.Errorf("after %v the age is %v", passed, got)
			}
		})
	}
	on(t, p.l, func() {
		began := time.Now()
		p.l.now = func() time.Duration { return at + time.Since(began) }
	})
}

// A connection that stays open is visited once, in the order of slots, in whatever pieces.
func TestEachInVisitsTheOpenConnectionsOfItsSlots(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	var want []uint64
	for range 10 {
		_, id := p.connect()
		want = append(want, id)
	}
	p.with(want[3], func(c *Conn) { c.Close(ReasonUser) })
	p.wantClosed(want[3], ReasonUser)
	want = slices.Delete(want, 3, 4)
	slices.SortFunc(want, func(a, b uint64) int {
		_, slotA := Place(a)
		_, slotB := Place(b)
		return int(slotA) - int(slotB)
	})
	for _, step := range []uint32{1, 3, 1000} {
		on(t, p.l, func() {
			var got []uint64
			for slot := uint32(0); slot < p.l.Slots(); slot += step {
				p.l.EachIn(slot, slot+step, func(c *Conn) bool {
					got = append(got, c.ID())
					return true
				})
			}
			if !slices.Equal(got, want) {
				t.Errorf("in steps of %d: %x, want %x", step, got, want)
			}
		})
	}
	on(t, p.l, func() {
		n := 0
		if p.l.EachIn(0, 1000, func(*Conn) bool { n++; return n < 2 }) || n != 2 {
			t.Errorf("%d visits, want it to end after 2", n)
		}
	})
}
