package hub

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for an event before it fails.
const patience = time.Minute

// testLoop is a goroutine in the role of an event loop. It delivers whenever it is
// woken, and changes memberships between slices.
type testLoop struct {
	local *Local
	wake  chan struct{}
	first func()               // run on the loop before anything else
	turn  func()               // run on the loop between slices
	got   func(Member, []byte) // run on the loop for each delivery
}

// testLoops is a Sink with running loops. The IDs of waiters are publishers' numbers.
type testLoops struct {
	loops []*testLoop
	room  []chan struct{}
	stop  chan struct{}
	done  sync.WaitGroup
}

func newTestLoops(loops, publishers int) *testLoops {
	ls := &testLoops{stop: make(chan struct{})}
	for range loops {
		ls.loops = append(ls.loops, &testLoop{wake: make(chan struct{}, 1)})
	}
	for range publishers {
		ls.room = append(ls.room, make(chan struct{}, 1))
	}
	return ls
}

// Wake acts like the eventfd of a real loop: it never blocks, and many wakes count as one.
func (ls *testLoops) Wake(loop int) {
	select {
	case ls.loops[loop].wake <- struct{}{}:
	default:
	}
}

func (ls *testLoops) Room(w *Waiter) { ls.room[w.ID] <- struct{}{} }

func (ls *testLoops) start(h *Hub) {
	var ready sync.WaitGroup
	for i, l := range ls.loops {
		l.local = h.Local(i)
		ready.Add(1)
		ls.done.Go(func() { ls.run(l, ready.Done) })
	}
	ready.Wait()
}

func (ls *testLoops) run(l *testLoop, ready func()) {
	l.first()
	ready()
	for {
		select {
		case <-ls.stop:
			return
		case <-l.wake:
		}
		for more := true; more; more = l.local.Pending() {
			l.local.Take()
			l.turn()
			if s, ok := l.local.Next(3); ok {
				for _, m := range s.Members {
					l.got(m, s.Buffer.Bytes())
				}
			}
		}
	}
}

// publishAll publishes n texts "publisher.number;" and waits when there is no room.
// It reports false when a wait times out.
func (ls *testLoops) publishAll(h *Hub, publisher, n int) bool {
	for i := range n {
		b := frameOf(fmt.Sprintf("%d.%d;", publisher, i))
		w := &Waiter{ID: uint64(publisher)}
		waits := h.AwaitRoom([]byte("news"), b.Len(), w)
		if waits {
			select {
			case <-ls.room[publisher]:
			case <-time.After(patience):
				return false
			}
		}
		h.publishRaw([]byte("news"), b)
		b.Release()
		if waits {
			h.Forgo(w)
		}
	}
	return true
}

// Publishers that are faster than the loops wait and try again, while members join
// and leave. Every lasting member gets every publication once, each publisher's in
// its order, and all members of all loops see the same sequence.
func TestPublishersThatWaitLoseNothing(t *testing.T) {
	const loops, publishers, members = 3, 4, 4
	n := 5000
	if testing.Short() || raceEnabled {
		n = 1000
	}
	ls := newTestLoops(loops, publishers)
	h := New(Config{Loops: loops, MaxPendingBytes: 64, Sink: ls, Watcher: quiet{}})
	all := make(chan struct{}, loops*members)
	heard := make([][]strings.Builder, loops)
	for i, l := range ls.loops {
		heard[i] = make([]strings.Builder, members)
		counts := make([]int, members)
		visitor := testConn{local: h.Local(i), id: members}
		l.first = func() { joinAll(h.Local(i), members, "news") }
		l.turn = func() {
			if !visitor.join("news") {
				visitor.leaveAll()
			}
		}
		l.got = func(m Member, p []byte) {
			if m.Conn == members {
				return
			}
			heard[i][m.Conn].Write(p)
			counts[m.Conn] += strings.Count(string(p), ";")
			if counts[m.Conn] == publishers*n {
				all <- struct{}{}
			}
		}
	}
	ls.start(h)
	var out sync.WaitGroup
	for p := range publishers {
		out.Go(func() {
			if !ls.publishAll(h, p, n) {
				t.Errorf("publisher %d waits for room and is not told", p)
			}
		})
	}
	out.Wait()
	for i := range loops * members {
		select {
		case <-all:
		case <-time.After(patience):
			t.Fatalf("only %d of %d members got everything", i, loops*members)
		}
	}
	close(ls.stop)
	ls.done.Wait()
	checkSequence(t, heard[0][0].String(), publishers, n)
	for i := range heard {
		for j := range heard[i] {
			if heard[i][j].String() != heard[0][0].String() {
				t.Errorf("member %d of loop %d saw another sequence than member 0 of loop 0", j, i)
			}
		}
	}
	checkHub(t, h)
}

// checkSequence fails t unless each publisher's texts are there, once and in order.
func checkSequence(t *testing.T, text string, publishers, n int) {
	t.Helper()
	next := make([]int, publishers)
	for item := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
		var p, i int
		if _, err := fmt.Sscanf(item, "%d.%d", &p, &i); err != nil || next[p] != i {
			t.Fatalf("publication %q came, %v are expected", item, next)
		}
		next[p]++
	}
	if slices.Min(next) != n || slices.Max(next) != n {
		t.Fatalf("publications of each publisher: %v, want %d", next, n)
	}
}

// Several loops join and leave the same few channels at once. The watcher is told
// of each first and last member, in order, and in the end agrees with the hub
// (I12).
func TestWatcherSeesFirstAndLast(t *testing.T) {
	const loops, channels = 4, 3
	n := 20000
	if testing.Short() || raceEnabled {
		n = 4000
	}
	watch := &watchLog{}
	h := New(Config{Loops: loops, Shards: 2, Sink: quiet{}, Watcher: watch})
	var done sync.WaitGroup
	for loop := range loops {
		done.Go(func() {
			c := testConn{local: h.Local(loop), id: 1}
			for i := range n {
				name := fmt.Sprintf("c%d", (i+loop)%channels)
				if !c.join(name) {
					c.leave(name)
				}
				if i%7 == loop {
					c.leaveAll()
				}
			}
		})
	}
	done.Wait()
	if len(watch.wrong) > 0 {
		t.Fatalf("%d calls out of order, the first: %s", len(watch.wrong), watch.wrong[0])
	}
	for i := range channels {
		name := fmt.Sprintf("c%d", i)
		if got, want := watch.active[name], h.Members([]byte(name)) > 0; got != want {
			t.Errorf("%s: subscribed %t, has members %t", name, got, want)
		}
	}
	if watch.events.Load() == 0 {
		t.Error("the watcher was never told")
	}
	checkHub(t, h)
}

// The watcher is told only of the first and the last of several members.
func TestWatcherIsToldOfFirstAndLastOnly(t *testing.T) {
	watch := &watchLog{}
	h := New(Config{Loops: 2, Sink: quiet{}, Watcher: watch})
	a := joinAll(h.Local(0), 3, "news")
	b := joinAll(h.Local(1), 3, "news")
	for _, c := range append(a[1:], b...) {
		c.leave("news")
	}
	if n := watch.events.Load(); n != 1 || !watch.active["news"] {
		t.Fatalf("%d calls while there is a member, want 1", n)
	}
	a[0].leave("news")
	a[0].leave("news")
	if n := watch.events.Load(); n != 2 || watch.active["news"] {
		t.Fatalf("%d calls after the last has left, want 2", n)
	}
}
