package broker

// fifo is a list that is filled at its end and emptied from its front. It is in pieces,
// so that no step takes longer the more it holds, as that of a slice which has to grow
// does. Its zero value is empty.
type fifo[T any] struct {
	size        int
	first, last *fifoPiece[T] // nil as long as there was nothing
}

// fifoPiece is a part of a fifo: items[from:to]. Only the last may be empty.
type fifoPiece[T any] struct {
	from, to int
	next     *fifoPiece[T]
	items    [64]T
}

// push adds v at the end.
func (f *fifo[T]) push(v T) {
	if f.last == nil {
		f.first = &fifoPiece[T]{}
		f.last = f.first
	} else if f.last.to == len(f.last.items) {
		f.last.next = &fifoPiece[T]{}
		f.last = f.last.next
	}
	f.last.items[f.last.to] = v
	f.last.to++
	f.size++
}

// front returns what pop would. The list is not empty.
func (f *fifo[T]) front() T { return f.first.items[f.first.from] }

// pop takes off the front. The list is not empty.
func (f *fifo[T]) pop() T {
	p := f.first
	v := p.items[p.from]
	clear(p.items[p.from : p.from+1])
	p.from++
	f.size--
	switch {
	case p.from < p.to:
	case p.next != nil:
		f.first = p.next
	default:
		p.from, p.to = 0, 0
	}
	return v
}

// join moves all of other to the end.
func (f *fifo[T]) join(other *fifo[T]) {
	switch {
	case f.size == 0:
		*f = *other
	case other.size > 0:
		f.last.next = other.first
		f.last = other.last
		f.size += other.size
	}
	*other = fifo[T]{}
}
