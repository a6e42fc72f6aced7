// Package slab holds many small values of one type in few allocations.
package slab

import "slices"

// chunkBits sets how many values a slab allocates at once: enough to make the
// allocator's own cost negligible, and few enough for a small server.
const (
	chunkBits = 8
	chunkSize = 1 << chunkBits
	chunkMask = chunkSize - 1
)

// Slab is an array that grows in chunks and never moves its values. It replaces a
// map, or a pointer per value, where small dense indexes exist. It has one owner
// and no lock. The zero value is empty.
type Slab[T any] struct {
	chunks []*[chunkSize]T
}

// Grow makes room for index i.
func (s *Slab[T]) Grow(i uint32) {
	for n := int(i >> chunkBits); len(s.chunks) <= n; {
		s.chunks = append(s.chunks, new([chunkSize]T))
	}
}

// At returns the value at index i. An earlier Grow must have made room for i.
func (s *Slab[T]) At(i uint32) *T {
	return &s.chunks[i>>chunkBits][i&chunkMask]
}

// Has reports whether there is room for index i.
func (s *Slab[T]) Has(i uint32) bool {
	return int(i>>chunkBits) < len(s.chunks)
}

// Cut frees whole chunks from index i on. Their values are zero when Grow makes
// room for them again.
func (s *Slab[T]) Cut(i uint32) {
	n := (int(i) + chunkMask) >> chunkBits
	if n < len(s.chunks) {
		s.chunks = slices.Clone(s.chunks[:n])
	}
}
