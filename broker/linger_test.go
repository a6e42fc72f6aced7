package broker

import (
	"fmt"
	"testing"
	"time"
)

// At most maxLingering subscriptions are kept.
func TestLingeringIsBounded(t *testing.T) {
	tab := subscribed(0, time.Now())
	now := time.Now()
	for i := range maxLingering + 10 {
		name := fmt.Sprint(i)
		tab.inForceNow(name, now)
		tab.unwant(name, now)
	}
	names, _ := tab.sweep(now)
	if len(names) != 10 || names[0] != "0" {
		t.Errorf("%d subscriptions end at once, the first %v, want the 10 oldest", len(names), names)
	}
	ended := 0
	for {
		names, _ := tab.sweep(now.Add(linger))
		if len(names) == 0 {
			break
		}
		ended += len(names)
	}
	if all, pending := tab.count(); ended != maxLingering || all != 0 || pending != 0 {
		t.Errorf("%d end later, %d are left, %d of them pending", ended, all, pending)
	}
}

// A late confirmation of a subscription that has lost its members must not be taken for that of a
// new one.
func TestConfirmationIsNotTakenForAnothers(t *testing.T) {
	tab := subscribed(0, time.Now())
	now := time.Now()
	tab.want("c")
	tab.take(now)
	tab.unwant("c", now)
	if names, _ := tab.sweep(now.Add(2 * linger)); len(names) != 0 {
		t.Fatalf("%v ends before it is confirmed", names)
	}
	tab.want("c") // again: the first request is still under way
	if names, _ := tab.take(now); len(names) != 0 {
		t.Fatalf("%v is asked for twice", names)
	}
	tab.confirm("c", now)
	if _, pending := tab.count(); pending != 0 {
		t.Error("it is not in force")
	}
}

// A join has its answer in bounded time, and a link on which the engine confirms nothing is given
// up.
func TestUnconfirmedSubscriptionIsOverdue(t *testing.T) {
	tab := subscribed(0, time.Now())
	now := time.Now()
	tab.want("c")
	tab.take(now)
	if pending, err := tab.await("c", func(error) {}, now); !pending || err != nil {
		t.Fatalf("await = %t, %v", pending, err)
	}
	for _, c := range []struct {
		after time.Duration
		late  bool
		stuck bool
	}{{awaitTimeout - 1, false, false}, {awaitTimeout, true, false}, {2 * awaitTimeout, false, false}, {2*awaitTimeout + 1, false, true}} {
		late, _ := tab.overdue(now.Add(c.after))
		if stuck := tab.stuck(now.Add(c.after)); (late != nil) != c.late || stuck != c.stuck {
			t.Errorf("after %s: late %t, stuck %t; want %t, %t", c.after, late != nil, stuck, c.late, c.stuck)
		}
	}
}
