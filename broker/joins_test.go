package broker

import (
	"fmt"
	"testing"
	"time"
)

// crowded returns a table on which count joins wait for one channel, and the numbers of those that
// were told, in the order they were told.
func crowded(count int, now time.Time) (tab *table, told *[]int) {
	tab, told = newTable(), new([]int)
	tab.opened(time.Now())
	tab.want("c")
	for i := range count {
		_, _ = tab.await("c", func(error) { *told = append(*told, i) }, now)
	}
	return tab, told
}

// Joins that time out are told in the order they came. The table, which event loops wait for, is
// locked for one batch at a time.
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
			t.Fatalf("%d joins are told at once, want at most %d", n, MaxBatch)
		}
	}
	if len(*told) != count {
		t.Fatalf("%d of %d joins are told", len(*told), count)
	}
	for i, who := range *told {
		if who != i {
			t.Fatalf("join %d is told as number %d", who, i)
		}
	}
}

// Each join has one answer, even when some timed out before the confirmation came.
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
	first, _ = tab.confirm("c", now)
	tell(first, nil)
	if first, _ = tab.overdue(now.Add(2 * awaitTimeout)); first != nil {
		t.Error("an answered join is overdue")
	}
	if got := fmt.Sprint(*told); got != "[0 1 2 3 4]" {
		t.Errorf("told %s, want each once", got)
	}
}

// BenchmarkOverdue measures the cost of each of many joins that wait for one channel and time out.
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
