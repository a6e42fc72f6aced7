package broker

import (
	"fmt"
	"testing"
	"time"
)

// A channel that is joined and left while there is no link, or before it was asked for, is
// forgotten (I13).
func TestAChannelLeftBeforeItIsAskedForIsForgotten(t *testing.T) {
	tab := newTable()
	for i := range 4 * MaxBatch {
		name := fmt.Sprint(i)
		tab.want(name)
		tab.unwant(name, time.Now())
	}
	tab.want("wanted")
	if owed := tab.opened(time.Now()); owed != 1 {
		t.Errorf("%d subscriptions are owed, want 1", owed)
	}
	names, more := tab.take(time.Now())
	if all, _ := tab.count(); len(names) != 1 || names[0] != "wanted" || more || all != 1 {
		t.Errorf("%v are asked for, more %t, of %d", names, more, all)
	}
}

// One sweep looks at one batch, however many subscriptions have lingered or rested.
func TestASweepLooksAtABatch(t *testing.T) {
	const count = 4 * MaxBatch
	now := time.Now()
	tab := subscribed(count, now)
	for i := range count {
		tab.unwant(fmt.Sprint(i), now)
		name := fmt.Sprint("refused ", i)
		tab.want(name)
		tab.take(now)
		tab.end(name, now, errBusy)
	}
	now = now.Add(linger + retryAfter)
	for more, sweeps := true, 0; more; sweeps++ {
		lingering, rest := tab.sizes[left], tab.sizes[resting]
		_, more = tab.sweep(now)
		if lingering -= tab.sizes[left]; lingering > MaxBatch {
			t.Errorf("one sweep looks at %d channels that were left", lingering)
		}
		if rest -= tab.sizes[resting]; rest > MaxBatch {
			t.Errorf("one sweep looks at %d channels that rested", rest)
		}
		if sweeps > 2*count/MaxBatch {
			t.Fatal("the sweep does not end")
		}
	}
	if tab.sizes[left]+tab.sizes[resting] > 0 || tab.sizes[again] != count {
		t.Errorf("%d are left, %d rest, %d are asked for again", tab.sizes[left], tab.sizes[resting], tab.sizes[again])
	}
}

// A refused channel keeps its rest when it is left and joined again, and is forgotten after the
// rest when it has no members (I13).
func TestARestOutlivesTheLastMember(t *testing.T) {
	now := time.Now()
	tab := subscribed(0, now)
	tab.want("c")
	tab.take(now)
	tab.unwant("c", now)
	tab.end("c", now, errBusy)
	tab.want("c")
	if names, _ := tab.take(now); len(names) != 0 {
		t.Errorf("%v is asked for while it rests", names)
	}
	tab.unwant("c", now)
	tab.sweep(now.Add(retryAfter))
	if all, _ := tab.count(); all != 0 {
		t.Error("a channel without members is kept after its rest")
	}
}

// A sweep ends even when so many subscriptions linger that the oldest have to end and the engine
// has not confirmed any.
func TestASweepEndsWhileNothingIsConfirmed(t *testing.T) {
	now := time.Now()
	tab := subscribed(0, time.Now())
	for i := range 2 * maxLingering {
		tab.want(fmt.Sprint(i))
		tab.take(now)
		tab.unwant(fmt.Sprint(i), now)
	}
	looks := 0
	for more := true; more; looks++ {
		_, more = tab.sweep(now.Add(linger))
		if looks > 3*maxLingering/MaxBatch {
			t.Fatalf("the sweep goes on after %d looks", looks)
		}
	}
}
