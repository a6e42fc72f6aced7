package slab

import "testing"

// BenchmarkAt reads values in an order that the cache cannot predict.
func BenchmarkAt(b *testing.B) {
	const values = 1 << 20
	var s Slab[uint64]
	s.Grow(values - 1)
	var i uint32
	var sum uint64
	b.ReportAllocs()
	for b.Loop() {
		i = (i*1664525 + 1013904223) & (values - 1)
		sum += *s.At(i)
	}
	if sum != 0 {
		b.Fatal("values are not zero")
	}
}

// BenchmarkGrow is the cost of making room for a value.
func BenchmarkGrow(b *testing.B) {
	var s Slab[[6]uint64]
	var i uint32
	b.ReportAllocs()
	for b.Loop() {
		if i++; i == 1<<20 {
			s, i = Slab[[6]uint64]{}, 0
		}
		s.Grow(i)
	}
}

// BenchmarkTakeGive takes and gives a reference among a million.
func BenchmarkTakeGive(b *testing.B) {
	var p Pool[uint64]
	for range 1 << 20 {
		p.Take()
	}
	var i uint32
	b.ReportAllocs()
	for b.Loop() {
		i = (i*1664525 + 1013904223) & (1<<20 - 1)
		p.Give(i + 1)
		if ref, _ := p.Take(); ref != i+1 {
			b.Fatal(ref)
		}
	}
}
