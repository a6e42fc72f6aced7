package slab

import (
	"math/rand/v2"
	"testing"
)

// twin is a simple model of Indexes: the numbers in use.
type twin map[uint32]bool

// lowestFree returns the first of the lowest 64 numbers that include a free one.
func (w twin) lowestFree() uint32 {
	for i := uint32(0); ; i++ {
		if !w[i] {
			return i &^ 63
		}
	}
}

func (w twin) bound() (bound uint32) {
	for i := range w {
		bound = max(bound, i&^63+64)
	}
	return bound
}

func TestIndexesAreTakenOnceAndFromTheLowest64(t *testing.T) {
	var x Indexes
	used := twin{}
	var held []uint32
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 50_000 {
		switch grow := step/5000%2 == 0; {
		case r.IntN(500) == 0:
			if got := x.Trim(); got != used.bound() {
				t.Fatalf("step %d: Trim() = %d, want %d", step, got, used.bound())
			}
		case len(held) > 0 && r.IntN(5) < 2 != grow:
			at := r.IntN(len(held))
			i := held[at]
			held[at] = held[len(held)-1]
			held = held[:len(held)-1]
			delete(used, i)
			x.Give(i)
		default:
			want := used.lowestFree()
			i := x.Take()
			if used[i] || i&^63 != want {
				t.Fatalf("step %d: Take() = %d, in use %v, want one of the 64 from %d", step, i, used[i], want)
			}
			used[i] = true
			held = append(held, i)
		}
		if x.Len() != len(used) {
			t.Fatalf("step %d: Len() = %d, want %d", step, x.Len(), len(used))
		}
	}
}

// A single holder that takes and gives repeatedly does not get one number each time.
func TestIndexesGoRoundAmongTheLowest64(t *testing.T) {
	var x Indexes
	seen := map[uint32]int{}
	for range 64 * 10 {
		i := x.Take()
		seen[i]++
		x.Give(i)
	}
	for i, n := range seen {
		if n != 10 || i >= 64 {
			t.Fatalf("number %d was taken %d times of 640", i, n)
		}
	}
}

func TestTheEndOfIndexesIsForgottenOnceFree(t *testing.T) {
	for _, last := range []uint32{0, 63, 64, 4095, 4096, 10_000} {
		var x Indexes
		for range 20_000 {
			x.Take()
		}
		for i := range uint32(20_000) {
			if i != last {
				x.Give(i)
			}
		}
		if got, want := x.Trim(), last&^63+64; got != want || len(x.free) != int(want/64) {
			t.Errorf("with %d alone in use Trim() = %d with %d words, want %d", last, got, len(x.free), want)
		}
		x.Give(last)
		if x.Trim() != 0 || x.Len() != 0 || x.Take() >= 64 {
			t.Errorf("%d words are left when nothing is in use", len(x.free))
		}
	}
}
