package ring

import (
	"math/rand/v2"
	"testing"
)

// A ring behaves like a slice with append at its end and removal at its front.
func TestModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var r Ring[*int]
	var want []*int
	for step := range 100_000 {
		if grows := step/5000%2 == 0; len(want) == 0 || random.IntN(3) == 0 != grows {
			v := &step
			r.Push(v)
			want = append(want, v)
		} else {
			if got := r.Pop(); got != want[0] {
				t.Fatalf("step %d: Pop() = %p, want %p", step, got, want[0])
			}
			want = want[1:]
		}
		if r.Len() != len(want) || len(want) > 0 && (*r.At(0) != want[0] || *r.At(r.Len() - 1) != want[len(want)-1]) {
			t.Fatalf("step %d: %d values, want %d", step, r.Len(), len(want))
		}
	}
	held := 0
	for _, p := range r.places {
		if p != nil {
			held++
		}
	}
	if held != len(want) {
		t.Errorf("%d values are held, want %d", held, len(want))
	}
}

func TestAnEmptyRingGivesItsMemoryBack(t *testing.T) {
	var r Ring[int]
	for range 10 * keep {
		r.Push(1)
	}
	for r.Len() > 0 {
		r.Pop()
	}
	if cap(r.places) > keep {
		t.Errorf("an empty ring keeps %d places", cap(r.places))
	}
}

func TestAFullRingIsUsedWithoutAllocating(t *testing.T) {
	var r Ring[int]
	for range 100 {
		r.Push(1)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Push(r.Pop()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
