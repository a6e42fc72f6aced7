package broker

import (
	"testing"
	"time"
)

// Backoffs grow up to a bound, and vary at random.
func TestBackoffGrowsAndIsRandom(t *testing.T) {
	for attempt, longest := range []time.Duration{backoffFirst, 2 * backoffFirst, 4 * backoffFirst} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(attempt)
			seen[d] = true
			if d <= 0 || d > longest+time.Millisecond {
				t.Fatalf("backoff(%d) = %s, want at most %s", attempt, d, longest)
			}
		}
		if len(seen) < 50 {
			t.Errorf("backoff(%d) took %d values in 100 calls", attempt, len(seen))
		}
	}
	if d := backoff(1000); d > backoffLast+time.Millisecond {
		t.Errorf("backoff(1000) = %s", d)
	}
}
