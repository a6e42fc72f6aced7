package slab_test

import (
	"fmt"

	"wsify/internal/slab"
)

func ExampleSlab() {
	var s slab.Slab[string]
	s.Grow(1000)
	first := s.At(7)
	*first = "stays"
	s.Grow(100_000)
	fmt.Println(*s.At(7), first == s.At(7), s.Has(100_000), s.Has(1<<20))
	// Output: stays true true false
}

func ExamplePool() {
	var p slab.Pool[string]
	first, value := p.Take()
	*value = "a"
	second, value := p.Take()
	*value = "b"
	fmt.Println(*p.At(first), *p.At(second), p.Len())
	p.Give(second)
	p.Trim()
	fmt.Println(*p.At(first), p.Len())
	// Output:
	// a b 2
	// a 1
}
