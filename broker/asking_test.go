package broker

import (
	"fmt"
	"testing"
	"time"
)

// churned returns a table of channels that were joined, and left at now.
func churned(count int, now time.Time) *table {
	tab := newTable()
	for i := range count {
		tab.want(fmt.Sprint(i))
		tab.unwant(fmt.Sprint(i), now)
	}
	tab.opened(time.Now())
	return tab
}

// However many channels were joined and left while there was no link, and whatever
// there is to ask for behind them, one look is at a batch of them.
func TestChannelsThatWereLeftAreTakenInBatches(t *testing.T) {
	const count = 4*MaxBatch + 1
	tab := churned(count, time.Now())
	tab.want("wanted")
	looks := 1
	names, more := tab.take(time.Now())
	for ; more; looks++ {
		before := tab.fresh.size
		names, more = tab.take(time.Now())
		if n := before - tab.fresh.size; n > MaxBatch {
			t.Fatalf("%d channels are looked at at once", n)
		}
	}
	if len(names) != 1 || names[0] != "wanted" || looks != 5 {
		t.Errorf("%v are asked for after %d looks", names, looks)
	}
}

// So it is with those that were left and are joined again, when a second has passed,
// and with those that the engine refused.
func TestASweepLooksAtABatch(t *testing.T) {
	const count = 4 * MaxBatch
	now := time.Now()
	tab := subscribed(count, now)
	for i := range count {
		tab.unwant(fmt.Sprint(i), now)
		tab.want(fmt.Sprint(i))
		name := fmt.Sprint("refused ", i)
		tab.want(name)
		tab.take(now)
		tab.end(name, now, refused)
	}
	now = now.Add(linger + retryAfter)
	for more, sweeps := true, 0; more; sweeps++ {
		left, resting := tab.leaving.size, tab.resting[0].size
		_, more = tab.sweep(now)
		if left -= tab.leaving.size; left > MaxBatch {
			t.Errorf("%d channels that were left are looked at at once", left)
		}
		if resting -= tab.resting[0].size; resting > MaxBatch {
			t.Errorf("%d channels that rested are looked at at once", resting)
		}
		if sweeps > 5 {
			t.Fatal("the sweep has no end")
		}
	}
	if tab.leaving.size+tab.resting[0].size > 0 || tab.again.size != count {
		t.Errorf("%d are left, %d rest, %d are asked for again", tab.leaving.size, tab.resting[0].size, tab.again.size)
	}
}

// A sweep has an end, also while so many linger that the oldest have to go, and the
// engine has not confirmed a single one.
func TestASweepEndsWhileNothingIsConfirmed(t *testing.T) {
	now := time.Now()
	tab := newTable()
	tab.opened(time.Now())
	for i := range 2 * maxLingering {
		tab.want(fmt.Sprint(i))
		tab.take(now)
		tab.unwant(fmt.Sprint(i), now)
	}
	looks := 0
	for more := true; more; looks++ {
		_, more = tab.sweep(now.Add(linger))
		if looks > 3*maxLingering/MaxBatch {
			t.Fatalf("no end after %d looks", looks)
		}
	}
}
