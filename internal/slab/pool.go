package slab

// Pool is values that come and go, each named by a reference: a small number, so that
// what holds it holds no pointer. The lowest are used first; see [Indexes]. It has one
// owner and no lock. The zero value is empty.
type Pool[T any] struct {
	values Slab[T]
	places Indexes
}

// Take returns a reference, which is never 0, and its value as Give left it, or zero.
func (p *Pool[T]) Take() (ref uint32, value *T) {
	i := p.places.Take()
	p.values.Grow(i)
	return i + 1, p.values.At(i)
}

// At returns the value of a reference that was taken.
func (p *Pool[T]) At(ref uint32) *T { return p.values.At(ref - 1) }

// Give takes a reference back. Its value stays as it is until it is taken again: the
// caller clears what must not be kept.
func (p *Pool[T]) Give(ref uint32) { p.places.Give(ref - 1) }

// Len returns how many references are taken.
func (p *Pool[T]) Len() int { return p.places.Len() }

// Bound returns a reference that none which is taken is above. Those below it that are
// not taken have a value all the same.
func (p *Pool[T]) Bound() uint32 { return p.places.Bound() }

// Trim gives back the memory behind the last reference that is taken.
func (p *Pool[T]) Trim() { p.values.Cut(p.places.Trim()) }
