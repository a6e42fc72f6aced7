package broker

import (
	"fmt"
	"testing"
	"time"
)

// unreachables returns a table with count channels whose server is unreachable.
func unreachables(count int, now time.Time) *table {
	tab := subscribed(0, time.Now())
	for i := range count {
		name := fmt.Sprint(i)
		tab.want(name)
		tab.take(now)
		tab.end(name, now, ErrUnreachable)
	}
	return tab
}

// askFor takes all channels that have to be asked for.
func (t *table) askFor(now time.Time) (names []string) {
	for more := true; more; {
		var some []string
		some, more = t.take(now)
		names = append(names, some...)
	}
	return names
}

// While a server is unreachable and nothing changes, one of its channels is asked for every two
// seconds, each in turn, however many there are.
func TestAnUnreachableServerIsAskedForOneChannel(t *testing.T) {
	const count = 3 * MaxBatch
	now := time.Now()
	tab := unreachables(count, now)
	asked := map[string]bool{}
	for range 10 {
		var names []string
		for range probeInterval / sweepInterval {
			tab.sweep(now)
			now = now.Add(sweepInterval)
			names = append(names, tab.askFor(now)...)
		}
		if len(names) != 1 || asked[names[0]] {
			t.Fatalf("%v are asked for in %s, after %v", names, probeInterval, asked)
		}
		asked[names[0]] = true
		tab.end(names[0], now, ErrUnreachable)
	}
	if deaf := tab.deaf.Load(); deaf != count {
		t.Errorf("%d channels are deaf, want %d", deaf, count)
	}
}

// All channels are asked for at once when the probe is in force, or refused for a reason of its
// own, or when the link reports that the server has returned.
func TestAllIsAskedForWhenAServerReturns(t *testing.T) {
	const count = 3 * MaxBatch
	for name, returns := range map[string]func(tab *table, probe string, now time.Time){
		"confirmed": func(tab *table, probe string, now time.Time) { tab.confirm(probe, now) },
		"refused":   func(tab *table, probe string, now time.Time) { tab.end(probe, now, errBusy) },
		"returned":  func(tab *table, _ string, _ time.Time) { tab.returned() },
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			tab := unreachables(count, now)
			now = now.Add(sweepInterval)
			tab.sweep(now)
			probe := tab.askFor(now)
			returns(tab, probe[0], now)
			names := tab.askFor(now)
			if len(names) != count-1 {
				t.Errorf("%d of %d are asked for", len(names), count)
			}
			for _, name := range names {
				tab.confirm(name, now)
			}
			tab.confirm(probe[0], now)
			if deaf := tab.deaf.Load(); deaf > 0 {
				t.Errorf("%d channels are still deaf", deaf)
			}
		})
	}
}

// Channels that are joined and left while their server is unreachable are not kept (I13).
func TestAnUnreachableServerKeepsNothingOfChannelsLeft(t *testing.T) {
	const stay = 100
	now := time.Now()
	tab := unreachables(stay, now)
	for i := range 10_000 {
		name := fmt.Sprint("passing ", i)
		tab.want(name)
		for _, name := range tab.askFor(now) {
			tab.end(name, now, ErrUnreachable)
		}
		tab.unwant(name, now)
	}
	if n := tab.sizes[unreachable]; n > 2*stay+2 {
		t.Errorf("%d channels are kept, of which %d are wanted", n, stay)
	}
	for more := true; more; {
		_, more = tab.sweep(now.Add(linger))
	}
	if all, _ := tab.count(); all > 2*stay+2 {
		t.Errorf("%d channels are in the table, of which %d are wanted", all, stay)
	}
}

// A node is not up while one of its channels is deaf and the server of the channel says that it
// will serve. When that takes too long, the node is up with the channels that it has.
func TestOpenedLinkWaitsForUnreachableServers(t *testing.T) {
	now := time.Now()
	for name, returns := range map[string]bool{"it returns": true, "nobody wants it": false} {
		t.Run(name, func(t *testing.T) {
			tab := newTable()
			tab.want("here")
			tab.want("away")
			tab.opened(now)
			tab.take(now)
			tab.end("away", now, ErrNotYet)
			late := now.Add(returnTime)
			if tab.settled(now) || tab.settled(late) {
				t.Fatal("settled before the other server has answered")
			}
			tab.confirm("here", now)
			if tab.settled(late.Add(-1)) || !tab.settled(late) {
				t.Fatalf("settled %t in time, and %t later", tab.settled(late.Add(-1)), tab.settled(late))
			}
			if returns {
				tab.returned()
				tab.take(now)
				tab.confirm("away", now)
			} else {
				tab.unwant("away", now)
				tab.sweep(now.Add(linger))
				tab.returned()
				tab.take(now)
			}
			if !tab.settled(now) || tab.deaf.Load() != 0 {
				t.Errorf("settled %t, %d deaf", tab.settled(now), tab.deaf.Load())
			}
		})
	}
}

func TestOpenedLinkDoesNotWaitForServersThatCannotBeReached(t *testing.T) {
	now := time.Now()
	tab := newTable()
	tab.want("here")
	tab.want("away")
	tab.opened(now)
	tab.take(now)
	tab.confirm("here", now)
	if tab.settled(now) {
		t.Error("settled before the first attempt to reach the other server has ended")
	}
	tab.end("away", now, ErrUnreachable)
	if !tab.settled(now) || tab.deaf.Load() != 1 {
		t.Errorf("settled %t, %d deaf", tab.settled(now), tab.deaf.Load())
	}
}

// BenchmarkUnreachableServer measures the cost of an unreachable server in two seconds.
func BenchmarkUnreachableServer(b *testing.B) {
	now := time.Now()
	tab := unreachables(333_000, now)
	for b.Loop() {
		for range probeInterval / sweepInterval {
			now = now.Add(sweepInterval)
			tab.sweep(now)
			for _, name := range tab.askFor(now) {
				tab.end(name, now, ErrUnreachable)
			}
		}
	}
}
