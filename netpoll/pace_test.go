package netpoll

import (
	"testing"
	"time"
)

// gaveWay is how often a loop yields in a second of turns. Each turn works and then
// waits for the given times.
func gaveWay(work, wait time.Duration) (times int) {
	var p pace
	for now := time.Duration(0); now < time.Second; now += work + wait {
		if p.yields(now + work) {
			times++
		}
		p.waited(now+work, now+work+wait)
	}
	return times
}

func TestABusyLoopGivesWayEveryFewMilliseconds(t *testing.T) {
	most := int(time.Second / yieldEvery)
	for _, tt := range []struct{ work, wait time.Duration }{
		{90 * time.Microsecond, 10 * time.Microsecond}, // round trips
		{2 * time.Millisecond, 0},                      // slices of a fan-out
		{2 * time.Millisecond, 100 * time.Microsecond},
	} {
		if n := gaveWay(tt.work, tt.wait); n < most/2 || n > most {
			t.Errorf("turns of %v with waits of %v: it yielded %d times in a second, want %d at most and half of it at least", tt.work, tt.wait, n, most)
		}
	}
}

func TestARestingLoopNeverGivesWay(t *testing.T) {
	for _, wait := range []time.Duration{restsAfter, 20 * time.Millisecond} {
		if n := gaveWay(100*time.Microsecond, wait); n != 0 {
			t.Errorf("it yielded %d times in a second, though it waited %v before each turn", n, wait)
		}
	}
}
