package broker

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// filled returns an outbox with room for places publications of one byte, and fills it.
func filled(t *testing.T, places int) *outbox {
	o := newOutbox(places * (1 + publicationOverhead))
	for range places {
		if err := o.put(small, nil); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

var small = Publication{Content: []byte("x")}

// Freed room is kept for the waiters, first come, first served: a later publisher does not get it,
// and a waiter that was told is not refused.
func TestWaitersGetRoomInTheOutboxInOrder(t *testing.T) {
	const places = 10
	o := filled(t, places)
	waiters := make([]*Waiter, 2*places)
	for i := range waiters {
		waiters[i] = new(Waiter)
		if err := o.put(small, waiters[i]); err != ErrFull {
			t.Fatalf("put in a full outbox: %v", err)
		}
	}
	for range 2 {
		_, told, _ := o.take(nil)
		if !slices.Equal(told, waiters[:places]) {
			t.Fatalf("%d waiters are told, want the first %d", len(told), places)
		}
		if err := o.put(small, nil); err != ErrFull {
			t.Errorf("a publisher that does not wait gets %v", err)
		}
		for _, w := range told {
			if err := o.put(small, w); err != nil {
				t.Errorf("a waiter that was told gets %v", err)
			}
		}
		waiters = waiters[places:]
	}
	if _, told, _ := o.take(nil); len(told) != 0 || o.bytes != 0 {
		t.Errorf("%d are told and %d bytes counted at the end", len(told), o.bytes)
	}
}

// A waiter that gives up makes room for those behind it, whether it waits or was told.
func TestForgoneRoomIsForTheNext(t *testing.T) {
	o := filled(t, 1)
	a, b, c := new(Waiter), new(Waiter), new(Waiter)
	for _, w := range []*Waiter{a, b, c} {
		_ = o.put(small, w)
	}
	if told := o.forgo(b); told != nil {
		t.Errorf("%d waiters are told without room", len(told))
	}
	if _, told, _ := o.take(nil); !slices.Equal(told, []*Waiter{a}) {
		t.Errorf("%v is told, want the first", told)
	}
	for range 2 { // the second changes nothing
		if told := o.forgo(a); o.waiters.Len() == 1 && !slices.Equal(told, []*Waiter{c}) {
			t.Errorf("%v is told, want the last", told)
		}
	}
	if o.forgo(c); o.bytes != 0 {
		t.Errorf("%d bytes are counted in an empty outbox", o.bytes)
	}
	if err := o.put(small, nil); err != nil {
		t.Errorf("an empty outbox takes nothing: %v", err)
	}
}

// Random steps: the bound holds, the counters are right, waiters are told in order, and a waiter
// that was told is not refused.
func TestOutboxModel(t *testing.T) {
	const limit = 5000
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := newOutbox(limit)
		var queue, told []*Waiter // waiters that wait, and waiters that were told
		sizes := map[*Waiter]Publication{}
		grant := func(got []*Waiter) {
			if len(got) > len(queue) || !slices.Equal(got, queue[:len(got)]) {
				t.Fatalf("seed %d: told out of turn", seed)
			}
			told, queue = append(told, got...), queue[len(got):]
		}
		for range 500 {
			switch p := (Publication{Content: make([]byte, rng.IntN(2000))}); rng.IntN(5) {
			case 0:
				w := new(Waiter)
				if sizes[w] = p; o.put(p, w) == ErrFull {
					queue = append(queue, w)
				}
			case 1:
				if o.put(p, nil) == nil && len(queue) > 0 {
					t.Fatalf("seed %d: a publisher overtook the waiters", seed)
				}
			case 2:
				if len(told) > 0 {
					if err := o.put(sizes[told[0]], told[0]); err != nil {
						t.Fatalf("seed %d: a waiter that was told gets %v", seed, err)
					}
					told = told[1:]
				}
			case 3:
				if len(queue) > 0 {
					i := rng.IntN(len(queue))
					w := queue[i]
					queue = slices.Delete(queue, i, i+1)
					grant(o.forgo(w))
				}
			case 4:
				if o.waiting.Len() > 0 {
					_, got, _ := o.take(nil)
					grant(got)
				}
			}
			kept := 0
			for _, w := range told {
				kept += w.kept
			}
			if o.bytes > limit || o.bytes < kept || len(queue) != o.waiters.Len() || o.bytes == 0 && len(queue) > 0 {
				t.Fatalf("seed %d: %d bytes of which %d are kept, %d wait for %d", seed, o.bytes, kept, len(queue), limit)
			}
		}
	}
}
