package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// inForceNow puts a subscription in force.
func (t *table) inForceNow(name string, now time.Time) {
	t.want(name)
	t.take(now)
	t.confirm(name, now)
}

// A channel that is joined and left all the time does not delay the end of others, which end a
// second after they were left.
func TestAChannelInChurnDoesNotHoldUpTheEndOfOthers(t *testing.T) {
	tab := subscribed(0, time.Now())
	start := time.Now()
	tab.inForceNow("churn", start)
	tab.inForceNow("left", start)
	tab.unwant("churn", start)
	tab.unwant("left", start)
	for now := start; now.Sub(start) <= 2*linger; now = now.Add(linger / 2) {
		tab.want("churn")
		tab.unwant("churn", now)
		names, _ := tab.sweep(now)
		if len(names) == 1 && names[0] == "left" {
			return
		}
		if len(names) > 0 {
			t.Fatalf("%v ends after %s", names, now.Sub(start))
		}
	}
	t.Errorf("after %s the channel that was left has not ended", 2*linger)
}

// A refused channel that is joined and left all the time does not delay requests for others.
func TestARefusedChannelInChurnDoesNotHoldUpOthers(t *testing.T) {
	tab := subscribed(0, time.Now())
	start := time.Now()
	for _, name := range []string{"churn", "other"} {
		tab.want(name)
		tab.take(start)
		tab.end(name, start, errBusy)
	}
	for now := start; now.Sub(start) <= 2*retryAfter; now = now.Add(retryAfter / 2) {
		tab.unwant("churn", now)
		tab.want("churn")
		tab.sweep(now)
		names, _ := tab.take(now)
		for _, name := range names {
			if name == "other" {
				return
			}
			tab.end(name, now, errBusy)
		}
	}
	t.Errorf("after %s the other channel has not been asked for again", 2*retryAfter)
}

// Rests grow with each refusal in a row, up to a bound.
func TestARestGrows(t *testing.T) {
	tab := subscribed(0, time.Now())
	tab.want("c")
	now := time.Now()
	for _, rest := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if names, _ := tab.take(now); len(names) != 1 {
			t.Fatalf("%d channels are asked for, want 1", len(names))
		}
		tab.end("c", now, errBusy)
		now = now.Add(rest*time.Second - 1)
		tab.sweep(now)
		if names, _ := tab.take(now); len(names) != 0 {
			t.Errorf("it rests for less than %d s", rest)
		}
		now = now.Add(1)
		tab.sweep(now)
	}
}

// A node is up when all channels with members are in force: a channel that was left while the node
// was down does not delay that.
func TestAChannelLeftWhileDownDoesNotDelayUp(t *testing.T) {
	tab := subscribed(0, time.Now())
	now := time.Now()
	tab.inForceNow("a", now)
	tab.inForceNow("b", now)
	tab.linkLost()
	tab.renewAll()
	tab.unwant("a", now)
	if owed := tab.opened(time.Now()); owed != 1 {
		t.Fatalf("%d subscriptions are owed, want 1", owed)
	}
	tab.take(now)
	tab.confirm("b", now)
	if !tab.settled(time.Now()) {
		t.Error("the node waits for a channel without members")
	}
}

// A refusal is an answer: clients that join forbidden channels all the time cannot make the link
// count as stuck.
func TestAnEngineThatRefusesIsNotStuck(t *testing.T) {
	tab := subscribed(0, time.Now())
	now := time.Now()
	tab.want("0")
	tab.take(now)
	for i := range 100 { // one request is always under way
		now = now.Add(awaitTimeout)
		tab.want(fmt.Sprint(i + 1))
		tab.take(now)
		tab.end(fmt.Sprint(i), now, errBusy)
		if tab.stuck(now) {
			t.Fatalf("stuck after %d refusals", i+1)
		}
	}
}

// The table gives its memory back after a burst (I13).
func TestATableShrinksAfterABurst(t *testing.T) {
	const count = 200_000
	tab := subscribed(0, time.Now())
	now := time.Now()
	before := testtool.Heap()
	for i := range count {
		name := fmt.Sprint(i)
		tab.want(name)
		_, _ = tab.await(name, func(error) {}, now)
	}
	for more := true; more; {
		var names []string
		names, more = tab.take(now)
		for _, name := range names {
			tab.confirm(name, now)
		}
	}
	for i := range count {
		tab.unwant(fmt.Sprint(i), now)
	}
	for more := true; more; {
		_, more = tab.sweep(now.Add(linger))
	}
	for more := true; more; { // as every half second
		var late *join
		if late, more = tab.overdue(now); late != nil {
			t.Fatal("an answered join is overdue")
		}
	}
	if grown := testtool.Heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes are left of %d subscriptions", grown, count)
	}
	if all, pending := tab.count(); all != 0 || pending != 0 { // this also keeps the table alive
		t.Errorf("%d subscriptions are left, %d pending", all, pending)
	}
}

// While all channels are subscribed to again, new joins get half of each batch.
func TestJoinsDoNotWaitForThoseOfBefore(t *testing.T) {
	tab := newTable()
	now := time.Now()
	for i := range 10 * MaxBatch {
		tab.want(fmt.Sprint("before ", i))
	}
	tab.linkLost()
	tab.renewAll()
	tab.opened(time.Now())
	tab.want("now")
	names, _ := tab.take(now)
	if len(names) != MaxBatch || names[0] != "now" {
		t.Errorf("a batch of %d channels begins with %q, want %d and the new one", len(names), names[0], MaxBatch)
	}
	for i := range 10 * MaxBatch {
		tab.want(fmt.Sprint("after ", i))
	}
	again := 0
	names, _ = tab.take(now)
	for _, name := range names {
		if strings.HasPrefix(name, "before") {
			again++
		}
	}
	if again != MaxBatch/2 {
		t.Errorf("%d channels of a batch were subscribed to before, want %d", again, MaxBatch/2)
	}
}

// BenchmarkSubscription measures the cost of a channel in the table: it is joined, asked for,
// waited for and confirmed, left, joined again, left, and ended.
func BenchmarkSubscription(b *testing.B) {
	const count = 2 * MaxBatch
	var names []string
	for i := range count {
		names = append(names, fmt.Sprint(i))
	}
	now := time.Now()
	tab := newTable()
	tab.opened(now)
	b.ReportAllocs()
	for b.Loop() {
		for _, name := range names {
			tab.want(name)
			_, _ = tab.await(name, nil, now)
		}
		for more := true; more; {
			_, more = tab.take(now)
		}
		for _, name := range names {
			tab.confirm(name, now)
			tab.unwant(name, now)
			tab.want(name)
			tab.unwant(name, now)
		}
		now = now.Add(linger + awaitTimeout)
		for more := true; more; {
			_, more = tab.sweep(now)
		}
		for more := true; more; {
			_, more = tab.overdue(now)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/channel")
}
