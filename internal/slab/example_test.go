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
