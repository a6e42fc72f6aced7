package broker

import (
	"math/rand/v2"
	"testing"
)

// What is pushed is popped, in its order.
func TestAFIFOKeepsItsOrder(t *testing.T) {
	var f fifo[int]
	pushed, popped := 0, 0
	for range 10_000 {
		for range rand.IntN(200) {
			f.push(pushed)
			pushed++
		}
		var more fifo[int]
		for range rand.IntN(3) * rand.IntN(200) {
			more.push(pushed)
			pushed++
		}
		f.join(&more)
		for n := rand.IntN(200); n > 0 && f.size > 0; n-- {
			if front, v := f.front(), f.pop(); v != popped || front != popped {
				t.Fatalf("front %d, pop %d, want %d", front, v, popped)
			}
			popped++
		}
		if f.size != pushed-popped {
			t.Fatalf("size %d, want %d", f.size, pushed-popped)
		}
	}
}

// An emptied list holds nothing that was in it (I13), and one that is filled and
// emptied in turn allocates nothing.
func TestAnEmptyFIFOHoldsNothing(t *testing.T) {
	var f fifo[*int]
	cycle := func(n int) {
		for range n {
			f.push(new(int))
		}
		for f.size > 0 {
			f.pop()
		}
	}
	cycle(1000)
	if f.first != f.last || f.first.next != nil {
		t.Error("more than a piece is left")
	}
	for _, v := range f.first.items {
		if v != nil {
			t.Fatal("it holds what was popped")
		}
	}
	v := new(int)
	if n := testing.AllocsPerRun(100, func() { f.push(v); f.pop() }); n != 0 {
		t.Errorf("a push and a pop allocate %v times", n)
	}
}
