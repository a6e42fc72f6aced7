package slab

// Pool holds values that are taken and given back. A value is named by a reference, a
// small number, so that its holder needs no pointer. The lowest numbers are used
// first; see [Indexes]. It has one owner and no lock. The zero value is empty.
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

// Give takes a reference back. Its value stays unchanged until it is taken again:
// the caller clears what must not be kept.
func (p *Pool[T]) Give(ref uint32) { p.places.Give(ref - 1) }

// Len returns how many references are taken.
func (p *Pool[T]) Len() int { return p.places.Len() }

// Bound returns a bound: no reference in use is above it. References below it that are
// not in use have a value too.
func (p *Pool[T]) Bound() uint32 { return p.places.Bound() }

// Trim frees the memory behind the last reference in use.
func (p *Pool[T]) Trim() { p.values.Cut(p.places.Trim()) }
