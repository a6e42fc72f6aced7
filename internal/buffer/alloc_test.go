package buffer

import (
	"testing"

	"wsify/internal/invariants"
)

func TestAPooledBufferCostsNoAllocation(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		t.Skip("the race detector makes pools drop values, and assertions allocate")
	}
	p := make([]byte, 100)
	for size := smallest; class(size) < classes; size *= 2 {
		if n := testing.AllocsPerRun(200, func() {
			b := New(size)
			b.Append(p, 1)
			b.Retain().Release()
			b.Release()
		}); n != 0 {
			t.Errorf("a buffer of %d bytes allocates %v times", size, n)
		}
	}
}
