package auth

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkersRunAtMostSizeAtOnceAndBoundTheBacklog(t *testing.T) {
	for _, tc := range []struct{ size, backlog, wantRunning int }{
		{1, 0, 1}, {1, 2, 1}, {3, 2, 3}, {2, 40, 2}, {0, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := NewWorkers(tc.size, tc.backlog, nil)
			gate := make(chan struct{})
			var running, most, ran atomic.Int32
			submitted := 0
			for w.Submit(func() {
				most.Store(max(most.Load(), running.Add(1)))
				<-gate
				running.Add(-1)
				ran.Add(1)
			}) {
				submitted++
			}
			synctest.Wait()
			if r, q := w.Busy(); submitted != tc.wantRunning+tc.backlog || r != tc.wantRunning || q != tc.backlog || int(running.Load()) != r {
				t.Fatalf("%+v: %d taken, Busy() = %d, %d, %d run", tc, submitted, r, q, running.Load())
			}
			close(gate)
			synctest.Wait()
			if r, q := w.Busy(); r != 0 || q != 0 || int(ran.Load()) != submitted || int(most.Load()) > tc.wantRunning {
				t.Fatalf("%+v: in the end Busy() = %d, %d, %d ran, %d at once", tc, r, q, ran.Load(), most.Load())
			}
		})
	}
}

func TestCallsBeginInTheOrderSubmitted(t *testing.T) {
	const n = 1000 // the ring grows and wraps
	w := NewWorkers(1, n, nil)
	gate := make(chan struct{})
	var order []int // owned by the only worker
	w.Submit(func() { <-gate })
	for i := range n / 2 {
		w.Submit(func() { order = append(order, i) })
	}
	half := make(chan struct{})
	w.Submit(func() { close(half) })
	close(gate)
	<-half
	for i := n / 2; i < n; i++ {
		w.Submit(func() { order = append(order, i) })
	}
	last := make(chan struct{})
	w.Submit(func() { close(last) })
	<-last
	w.Stop()
	for i, got := range order {
		if got != i {
			t.Fatalf("call %d was number %d to begin", got, i)
		}
	}
	if len(order) != n {
		t.Fatalf("%d calls ran, want %d", len(order), n)
	}
}

func TestRoomIsCalledOnceAfterRefusals(t *testing.T) {
	for _, backlog := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			var rooms int
			w := NewWorkers(1, backlog, func() { rooms++ })
			gate := make(chan struct{})
			for round := range 3 {
				for w.Submit(func() { <-gate }) {
				}
				for range 5 {
					if w.Submit(func() {}) {
						t.Fatal("Submit to a full pool reports true")
					}
				}
				synctest.Wait()
				if rooms != round {
					t.Fatalf("backlog %d: room was called %d times while the pool is full, want %d", backlog, rooms, round)
				}
				for range 1 + backlog {
					gate <- struct{}{}
					synctest.Wait()
				}
				if rooms != round+1 {
					t.Fatalf("backlog %d: room was called %d times in round %d", backlog, rooms, round)
				}
			}
		})
	}
}

// Callers that are refused wait for room and submit again, as the event loops do: every call runs.
func TestRoomIsNeverLost(t *testing.T) {
	n := 20000
	if testing.Short() || raceEnabled {
		n = 4000
	}
	room := make(chan struct{}, 1)
	w := NewWorkers(2, 3, func() {
		select {
		case room <- struct{}{}:
		default:
		}
	})
	var ran, all sync.WaitGroup
	var mu sync.Mutex
	var blocked []func()
	submit := func(fn func()) {
		mu.Lock()
		defer mu.Unlock()
		if !w.Submit(fn) {
			blocked = append(blocked, fn)
		}
	}
	ran.Add(4 * n)
	for range 4 {
		all.Go(func() {
			for range n {
				submit(ran.Done)
			}
		})
	}
	over := make(chan struct{})
	go func() { // the loop whose room is called
		for {
			select {
			case <-room:
			case <-over:
				return
			}
			mu.Lock()
			for len(blocked) > 0 && w.Submit(blocked[0]) {
				blocked = blocked[1:]
			}
			mu.Unlock()
		}
	}()
	all.Wait()
	finished := make(chan struct{})
	go func() {
		ran.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(patience):
		t.Fatal("calls wait for room and room is not called")
	}
	close(over)
	w.Stop()
}

func TestStopWaitsForWhatRunsAndDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms, ran := 0, 0
		w := NewWorkers(1, 2, func() { rooms++ })
		gate := make(chan struct{})
		w.Submit(func() { <-gate; ran++ })
		for range 5 { // two are queued, three are refused
			w.Submit(func() { ran += 100 })
		}
		var stopped atomic.Bool
		for range 2 {
			go func() {
				w.Stop()
				stopped.Store(true)
			}()
		}
		synctest.Wait()
		if stopped.Load() {
			t.Fatal("Stop returned while a call was running")
		}
		if w.Submit(func() {}) {
			t.Fatal("a stopped pool takes a call")
		}
		close(gate)
		synctest.Wait()
		if r, q := w.Busy(); !stopped.Load() || ran != 1 || rooms != 0 || r != 0 || q != 0 {
			t.Fatalf("stopped %t, ran %d, room %d times, Busy() = %d, %d", stopped.Load(), ran, rooms, r, q)
		}
		w.Stop()
	})
}

func TestStopOfAnIdlePoolReturns(t *testing.T) {
	w := NewWorkers(2, 2, nil)
	w.Stop()
	w.Stop()
	if w.Submit(func() {}) {
		t.Fatal("a stopped pool takes a call")
	}
}

// A panic ends only its call; the worker and the waiters for room go on.
func TestPanicIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := 0
		w := NewWorkers(1, 2, func() {
			if rooms++; rooms == 1 {
				panic("in room")
			}
		})
		var values []any
		var stacks []string
		w.OnPanic = func(v any, stack []byte) {
			values = append(values, v)
			stacks = append(stacks, string(stack))
		}
		ran := false
		gate := make(chan struct{})
		w.Submit(func() { <-gate; panicForTest() })
		w.Submit(func() { panic(nil) })
		w.Submit(func() { ran = true })
		if w.Submit(func() {}) {
			t.Fatal("Submit to a full pool reports true")
		}
		close(gate)
		synctest.Wait()
		if r, q := w.Busy(); !ran || rooms != 1 || r != 0 || q != 0 {
			t.Fatalf("the call behind ran: %t, room %d times, Busy() = %d, %d", ran, rooms, r, q)
		}
		if len(values) != 3 || values[0] != "in the call" || values[1] != "in room" || !strings.Contains(stacks[0], "panicForTest") {
			t.Fatalf("reported: %v\n%s", values, strings.Join(stacks, "\n"))
		}
		if _, ok := values[2].(*runtime.PanicNilError); !ok {
			t.Fatalf("panic(nil) is reported as %v", values[2])
		}
		w.Stop()
	})
}

//go:noinline
func panicForTest() { panic("in the call") }

func TestPanicNeedsNoListener(t *testing.T) {
	w := NewWorkers(1, 1, nil)
	ran := make(chan struct{})
	w.Submit(func() { panic("unheard") })
	for !w.Submit(func() { close(ran) }) {
		runtime.Gosched()
	}
	<-ran
	w.Stop()
}
