package slab

import "testing"

func TestAPoolGivesBackItsEnd(t *testing.T) {
	var p Pool[uint64]
	refs := make([]uint32, 10*chunkSize)
	for i := range refs {
		ref, v := p.Take()
		if ref == 0 || p.At(ref) != v || *v != 0 {
			t.Fatalf("Take() = %d, %d", ref, *v)
		}
		refs[i], *v = ref, uint64(ref)
	}
	for _, ref := range refs[chunkSize:] {
		p.Give(ref)
	}
	p.Trim()
	if n := len(p.values.chunks); n != 1 || p.Len() != chunkSize {
		t.Fatalf("%d values are held in %d chunks, want 1", p.Len(), n)
	}
	for _, ref := range refs[:chunkSize] {
		if *p.At(ref) != uint64(ref) {
			t.Fatalf("value %d reads %d", ref, *p.At(ref))
		}
	}
	if ref, v := p.Take(); ref != chunkSize+1 || *v != 0 {
		t.Errorf("Take() = %d, %d, want a new value at %d", ref, *v, chunkSize+1)
	}
}

// A value stays as it was given back, with the memory it holds.
func TestAPoolKeepsWhatAValueHolds(t *testing.T) {
	var p Pool[[]byte]
	for range 200 {
		ref, v := p.Take()
		*v = append((*v)[:0], "some bytes"...)
		p.Give(ref)
	}
	if n := testing.AllocsPerRun(100, func() {
		ref, v := p.Take()
		*v = append((*v)[:0], "others"...)
		p.Give(ref)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
