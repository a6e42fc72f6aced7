package hub

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A channel that exists all the time is visited once, whatever happens to others and to the maps.
func TestEachVisitsWhatStaysOnceWhileOthersComeAndGo(t *testing.T) {
	h := New(Config{Loops: 2, Shards: 1, Sink: quiet{}, Watcher: quiet{}})
	stay, churn := h.Local(0), h.Local(1)
	var want []string
	var set Memberships
	for i := range 3 * listSlice {
		name := fmt.Sprint("stays ", i)
		want = append(want, name)
		stay.Join(1, &set, []byte(name))
	}
	slices.Sort(want)
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		var set Memberships
		for n := 0; ; n++ {
			for i := range 10_000 {
				churn.Join(2, &set, fmt.Appendf(nil, "goes %d", i))
			}
			churn.LeaveAll(2, &set) // the map is replaced by smaller ones
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 20 {
		var got []string
		h.Each(func(name string, members int) bool {
			if members != 1 {
				t.Errorf("%s has %d members", name, members)
			}
			if name[0] == 's' {
				got = append(got, name)
			}
			return true
		})
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("visited %d channels that stay, want each of %d once", len(got), len(want))
		}
	}
	close(stop)
	running.Wait()
}

func TestEachEndsWhenItIsTold(t *testing.T) {
	h := New(Config{Loops: 1, Shards: 4, Sink: quiet{}, Watcher: quiet{}})
	l := h.Local(0)
	var set Memberships
	for i := range 100 {
		l.Join(1, &set, fmt.Appendf(nil, "%d", i))
	}
	visited := 0
	h.Each(func(string, int) bool { visited++; return visited < 7 })
	if visited != 7 {
		t.Errorf("visited %d channels, want 7", visited)
	}
	if names := l.Names(&set, 3); !slices.Equal(names, []string{"99", "98", "97"}) {
		t.Errorf("Names = %q, want the latest three", names)
	}
	if names := l.Names(&set, 1000); len(names) != 100 {
		t.Errorf("%d names, want 100", len(names))
	}
}
