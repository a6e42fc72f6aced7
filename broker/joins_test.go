package broker

import (
	"fmt"
	"testing"
	"time"
)

// crowded returns a table on which so many wait for one channel, and who was told, by
// the order they came in.
func crowded(count int, now time.Time) (tab *table, told *[]int) {
	tab, told = newTable(), new([]int)
	tab.opened(time.Now())
	tab.want("c")
	for i := range count {
		_, _ = tab.await("c", func(error) { *told = append(*told, i) }, now)
	}
	return tab, told
}

// Those who wait too long are told in the order they came, and the table, which event
// loops wait for, is not locked for longer than a batch takes, however many they are.
func TestACrowdThatWaitsTooLongIsToldInBatches(t *testing.T) {
	const count = 10*MaxBatch + 1
	now := time.Now()
	tab, told := crowded(count, now)
	for more := true; more; {
		before := len(*told)
		var late *join
		late, more = tab.overdue(now.Add(awaitTimeout))
		tell(late, errNoAck)
		if n := len(*told) - before; n > MaxBatch {
			t.Fatalf("%d are taken at once, want at most %d", n, MaxBatch)
		}
	}
	if len(*told) != count {
		t.Fatalf("%d of %d are told", len(*told), count)
	}
	for i, who := range *told {
		if who != i {
			t.Fatalf("number %d is told as number %d", who, i)
		}
	}
}

// Who waits has the answer once, whether some of the crowd were late before it came.
func TestAnAnswerIsForWaitersThatAreNotLate(t *testing.T) {
	const early, late = 3, 2
	now := time.Now()
	tab, told := crowded(early, now)
	tab.take(now)
	for i := range late {
		_, _ = tab.await("c", func(error) { *told = append(*told, early+i) }, now.Add(time.Second))
	}
	first, _ := tab.overdue(now.Add(awaitTimeout))
	tell(first, errNoAck)
	tell(tab.confirm("c", now), nil)
	if first, _ = tab.overdue(now.Add(2 * awaitTimeout)); first != nil {
		t.Error("somebody is late who was answered")
	}
	if got := fmt.Sprint(*told); got != "[0 1 2 3 4]" {
		t.Errorf("told %s, want each once", got)
	}
}

// BenchmarkOverdue is what it takes for each of many who wait for one channel that
// nobody confirms.
func BenchmarkOverdue(b *testing.B) {
	for _, count := range []int{1_000, 40_000} {
		b.Run(fmt.Sprintf("joins=%d", count), func(b *testing.B) {
			now := time.Now()
			for b.Loop() {
				b.StopTimer()
				tab, _ := crowded(count, now)
				b.StartTimer()
				for more := true; more; {
					_, more = tab.overdue(now.Add(awaitTimeout))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/join")
		})
	}
}
