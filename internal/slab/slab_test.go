package slab

import "testing"

func TestAnEmptySlabHasRoomForNothing(t *testing.T) {
	var s Slab[int]
	for _, i := range []uint32{0, 1, chunkSize, 1 << 31} {
		if s.Has(i) {
			t.Errorf("Has(%d) = true", i)
		}
	}
}

func TestGrowMakesRoomUpToTheIndex(t *testing.T) {
	for _, i := range []uint32{0, 1, chunkSize - 1, chunkSize, 3*chunkSize + 7} {
		var s Slab[int]
		s.Grow(i)
		for j := range i + 1 {
			if !s.Has(j) || *s.At(j) != 0 {
				t.Fatalf("after Grow(%d): no zero value at %d", i, j)
			}
		}
		if end := (i>>chunkBits + 1) << chunkBits; s.Has(end) {
			t.Errorf("after Grow(%d): Has(%d) = true", i, end)
		}
	}
}

func TestValuesKeepTheirPlaceWhileTheSlabGrows(t *testing.T) {
	var s Slab[uint32]
	var places []*uint32
	for i := range uint32(10 * chunkSize) {
		s.Grow(i)
		s.Grow(i / 2) // existing values stay
		*s.At(i) = i
		places = append(places, s.At(i))
	}
	for i, p := range places {
		if s.At(uint32(i)) != p || *p != uint32(i) {
			t.Fatalf("value %d moved, or reads %d", i, *p)
		}
	}
}

func TestSteadyUseAllocatesNothing(t *testing.T) {
	var s Slab[[4]int]
	s.Grow(1000)
	if n := testing.AllocsPerRun(100, func() {
		s.Grow(1000)
		s.At(999)[0]++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCutGivesBackWholeChunks(t *testing.T) {
	for _, i := range []uint32{0, 1, chunkSize, chunkSize + 1, 3 * chunkSize, 5 * chunkSize} {
		var s Slab[int]
		s.Grow(4*chunkSize - 1)
		*s.At(i / 2) = 7
		*s.At(3 * chunkSize) = 7
		s.Cut(i)
		if i > 0 && (!s.Has(i-1) != (i > 4*chunkSize) || *s.At(i / 2) != 7) {
			t.Errorf("Cut(%d) took what is below", i)
		}
		if end := min((i+chunkMask)&^chunkMask, 4*chunkSize); s.Has(end) {
			t.Errorf("after Cut(%d): Has(%d) = true", i, end)
		}
		s.Grow(4*chunkSize - 1)
		if i <= 3*chunkSize && *s.At(3 * chunkSize) != 0 {
			t.Errorf("after Cut(%d) a value comes back", i)
		}
	}
}
