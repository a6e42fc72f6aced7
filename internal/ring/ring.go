// Package ring holds a queue of values: first in, first out.
package ring

// keep is the largest capacity that an empty ring keeps.
const keep = 1024

// Ring is a queue that grows as it needs to. The zero value is empty. It has no bound
// and no lock: its user provides both.
type Ring[T any] struct {
	places []T // a power of two, or none
	head   int
	n      int
}

// Len returns the number of values in the ring.
func (r *Ring[T]) Len() int { return r.n }

// Push puts v at the end.
func (r *Ring[T]) Push(v T) {
	if r.n == len(r.places) {
		r.grow()
	}
	*r.At(r.n) = v
	r.n++
}

// Pop removes and returns the first value. The ring must not be empty.
func (r *Ring[T]) Pop() T {
	first := r.At(0)
	v := *first
	*first = *new(T) // so that it holds nothing
	r.head = (r.head + 1) & (len(r.places) - 1)
	r.n--
	if r.n == 0 && len(r.places) > keep {
		*r = Ring[T]{}
	}
	return v
}

// At returns the place of the value with i others before it. It is valid until the
// next Push or Pop.
func (r *Ring[T]) At(i int) *T { return &r.places[(r.head+i)&(len(r.places)-1)] }

func (r *Ring[T]) grow() {
	places := make([]T, max(16, 2*len(r.places)))
	for i := range r.n {
		places[i] = *r.At(i)
	}
	r.places, r.head = places, 0
}
