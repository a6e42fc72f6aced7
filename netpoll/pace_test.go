package netpoll

import (
	"testing"
	"time"
)

func TestBusyLoopGivesWayEveryFewMilliseconds(t *testing.T) {
	var p pace
	times := 0
	for now := time.Duration(0); now < time.Second; now += 100 * time.Microsecond {
		if p.yields(now) {
			times++
		}
	}
	if want := int(time.Second/yieldEvery) - 1; times != want {
		t.Errorf("it gave way %d times in a second, want %d", times, want)
	}
}

func TestRestingLoopNeverGivesWay(t *testing.T) {
	var p pace
	for now := time.Duration(0); now < time.Second; now += restsAfter {
		if p.yields(now) {
			t.Fatalf("it gave way at %v, though it waited %v before", now, restsAfter)
		}
	}
}
