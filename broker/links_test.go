package broker

import (
	"fmt"
	"testing"
	"time"
)

// subscribed returns a table with count subscriptions in force.
func subscribed(count int, now time.Time) *table {
	tab := newTable()
	tab.opened(time.Now())
	for i := range count {
		tab.inForceNow(fmt.Sprint(i), now)
	}
	return tab
}

// absentOf counts the channels that have to be asked for again.
func (t *table) absentOf() int { return t.sizes[again] + t.sizes[fresh] }

// When a link is lost, all channels have to be asked for again. The table, which event loops wait
// for, is never locked for all of them at once.
func TestALostLinkIsNotedInParts(t *testing.T) {
	const count = 50_000
	tab := subscribed(count, time.Now())
	tab.linkLost()
	if n := tab.absentOf(); n != 0 {
		t.Errorf("linkLost looks at %d channels", n)
	}
	most := 0
	for i := range channelParts {
		before := tab.absentOf()
		tab.renewPart(i)
		most = max(most, tab.absentOf()-before)
	}
	if most > count/100 {
		t.Errorf("one part has up to %d of %d channels", most, count)
	}
	if owed := tab.opened(time.Now()); owed != count {
		t.Errorf("%d subscriptions are owed, want %d", owed, count)
	}
}

// Channels may be joined and left between the loss of the link and the renewal of their part.
func TestChannelsChangeWhileALostLinkIsNoted(t *testing.T) {
	now := time.Now()
	tab := subscribed(3, now) // "0", "1", "2"
	tab.unwant("1", now)
	tab.linkLost()
	tab.unwant("0", now)
	tab.want("1")
	tab.want("new")
	tab.renewAll()
	tab.unwant("2", now)
	tab.want("2")
	if owed := tab.opened(time.Now()); owed != 3 {
		t.Errorf("%d subscriptions are owed, want 3", owed)
	}
	names, more := tab.take(now)
	if len(names) != 3 || more {
		t.Errorf("%v are asked for, more %t, want 1, 2 and new", names, more)
	}
	for _, name := range names {
		tab.confirm(name, now)
	}
	if all, pending := tab.count(); !tab.settled(time.Now()) || pending != 0 || all != 3 {
		t.Errorf("%d subscriptions, %d pending, settled %t, want 3, none, true", all, pending, tab.settled(time.Now()))
	}
}

// BenchmarkLostLink measures how long the table is locked at most when a link is lost, and the cost
// of each of its channels.
func BenchmarkLostLink(b *testing.B) {
	for _, count := range []int{10_000, 100_000, 1_000_000} {
		now := time.Now()
		tab := subscribed(count, now)
		b.Run(fmt.Sprintf("channels=%d", count), func(b *testing.B) {
			pieces := time.Duration(0)
			for b.Loop() {
				tab.linkLost()
				began := time.Now()
				for i := range channelParts {
					tab.renewPart(i)
				}
				pieces += time.Since(began)
				tab.opened(time.Now())
			}
			b.ReportMetric(float64(pieces.Microseconds())/float64(b.N)/channelParts, "us/piece")
		})
	}
}
