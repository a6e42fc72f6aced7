package netpoll

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/invariants"
)

func TestPostedTasksRunInTheOrderOfTheCalls(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	const tasks = 10_000
	var got []int
	for i := range tasks {
		p.l.Post(func() { got = append(got, i) })
	}
	on(t, p.l, func() {
		if len(got) != tasks {
			t.Fatalf("%d of %d tasks ran before one posted later", len(got), tasks)
		}
		for i, n := range got {
			if i != n {
				t.Fatalf("task %d ran as number %d", n, i)
			}
		}
	})
}

func TestEachGoroutinesTasksKeepTheirOrder(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	const posters, tasks = 16, 2000
	var next [posters]int // owned by the loop: no lock
	var wait sync.WaitGroup
	for who := range posters {
		wait.Go(func() {
			for i := range tasks {
				p.l.Post(func() {
					if next[who] != i {
						t.Errorf("task %d of poster %d ran as number %d", i, who, next[who])
					}
					next[who]++
				})
			}
		})
	}
	wait.Wait()
	on(t, p.l, func() {
		for who, n := range next {
			if n != tasks {
				t.Errorf("%d of %d tasks of poster %d ran", n, tasks, who)
			}
		}
	})
}

func TestWhatATaskPostsRunsInTheNextTurn(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, _ := p.connect()
	stop := atomic.Bool{}
	var again func()
	again = func() {
		if !stop.Load() {
			p.l.Post(again)
		}
	}
	p.l.Post(again) // a task that posts itself must not keep the loop from events
	write(t, client, "heard")
	if got := await(t, p.data, "Data"); got != "heard" {
		t.Errorf("Data got %q", got)
	}
	stop.Store(true)
}

func TestATaskForAConnectionThatIsGoneIsDropped(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	p.end(id)
	_, next := p.adopt()
	for slotOf(next) != slotOf(id) { // slots are used in turn
		p.end(next)
		_, next = p.adopt()
	}
	for _, gone := range []uint64{id, makeID(0, 77_777, 1), next + 1} {
		p.l.PostTo(gone, func(*Conn) { t.Errorf("a task for %x found a connection", gone) })
	}
	ran := false
	p.l.PostTo(next, func(*Conn) { ran = true })
	on(t, p.l, func() {
		if !ran {
			t.Error("a task for an open connection was dropped")
		}
	})
}

func TestAWakeIsNeverLost(t *testing.T) {
	const wakers, rounds = 4, 5000
	var asked, seen [wakers]atomic.Int64
	var answer [wakers]chan struct{}
	for i := range answer {
		answer[i] = make(chan struct{}, 1)
	}
	p := newProbe(t, Config{}, hooks{turn: func() bool {
		for i := range wakers {
			if n := asked[i].Load(); n != seen[i].Load() {
				seen[i].Store(n)
				answer[i] <- struct{}{}
			}
		}
		return false
	}})
	var wait sync.WaitGroup
	for i := range wakers {
		wait.Go(func() {
			for range rounds { // each waits for the turn it requested
				asked[i].Add(1)
				p.l.Wake()
				select {
				case <-answer[i]:
				case <-time.After(patience):
					t.Errorf("waker %d: no turn after its Wake", i)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestAWakeBeforeTheLoopHasStartedIsNotLost(t *testing.T) {
	ran := make(chan struct{})
	g, err := Open(Config{Loops: 1, Poller: pollerUnderTest}, func(l *Loop) Handler {
		l.Post(func() { close(ran) })
		return echo()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	await(t, ran, "the task")
}

func TestATurnThatHasMoreIsFollowedByAnother(t *testing.T) {
	left := 1000
	done := make(chan struct{})
	p := newProbe(t, Config{}, hooks{turn: func() bool {
		if left--; left == 0 {
			close(done)
		}
		return left > 0
	}})
	p.l.Wake()
	await(t, done, "a thousand turns")
}

func TestAnIdleLoopTakesNoTurns(t *testing.T) {
	var turns atomic.Int64
	p := newProbe(t, Config{}, hooks{turn: func() bool {
		turns.Add(1)
		return false
	}})
	client, id := p.connect()
	_ = client.Close()
	p.wantClosed(id, ReasonPeerClosed)
	p.rounds(5)
	before := turns.Load()
	p.rounds(20)
	// A turn may take a task after it is queued and before the Wake that follows,
	// which then requests one more turn. And the last turn of either round of tasks may be
	// counted after the round: its task runs first.
	if n := turns.Load() - before; n < 19 || n > 41 {
		t.Errorf("%d turns for 20 tasks on a loop where nothing happens", n)
	}
}

func TestEachVisitsOpenConnectionsOnly(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	want := map[uint64]bool{}
	for range 5 {
		_, id := p.adopt()
		want[id] = true
	}
	_, closing := p.adopt()
	on(t, p.l, func() {
		p.l.Conn(closing).Close(ReasonUser)
		p.l.Each(func(c *Conn) {
			if !want[c.ID()] || p.l.ConnAt(c.Slot()) != c || c.Loop() != p.l {
				t.Errorf("Each visited %x", c.ID())
			}
			delete(want, c.ID())
		})
		if len(want) != 0 {
			t.Errorf("Each left out %d", len(want))
		}
	})
}

// I1: builds with assertions detect a method of a Conn called on another goroutine.
func TestAConnectionTouchedFromElsewhereIsFoundOut(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs a build with assertions (-tags invariants)")
	}
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	var c *Conn
	p.with(id, func(own *Conn) { c = own })
	for name, call := range map[string]func(){
		"Send":          func() { c.Send([]byte("x")) },
		"Close":         func() { c.Close(ReasonUser) },
		"SetDeadline":   func() { c.SetDeadline(0) },
		"ClearDeadline": func() { c.ClearDeadline() },
		"Pause":         func() { c.Pause() },
		"Loop.Conn":     func() { p.l.Conn(id) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "invariant broken: I1") {
					t.Errorf("%s from another goroutine: %s", name, got)
				}
			}()
			call()
		}()
	}
}

// Builds with assertions overwrite borrowed bytes after the call.
func TestBytesKeptPastDataAreOverwritten(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs a build with assertions (-tags invariants)")
	}
	var kept []byte
	p := newProbe(t, Config{}, hooks{data: func(_ *Conn, b []byte) { kept = b }})
	client, _ := p.connect()
	write(t, client, "borrowed")
	await(t, p.data, "Data")
	on(t, p.l, func() {
		if !bytes.Equal(kept, bytes.Repeat([]byte{0xDD}, len("borrowed"))) {
			t.Errorf("bytes kept by the handler read %q", kept)
		}
	})
}
