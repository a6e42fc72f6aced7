package session

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/internal/buffer"
	"wsify/internal/testtool"
)

func TestTheMarksOfABoundLeaveRoomForWhatIsQueuedUnseen(t *testing.T) {
	for _, loops := range []int{1, 2, 16, 256} {
		for _, bound := range []int{4 << 10, 1 << 20, 256 << 20, 1 << 40} {
			var m writeMemory
			m.limit(bound, loops)
			if m.low >= m.high || m.high >= m.hard || m.hard+int64(m.step)*int64(loops) > m.bound || m.step == 0 {
				t.Errorf("a bound of %d for %d loops: %+v", bound, loops, &m)
			}
		}
	}
}

// slowMembers returns members that do not read, each of its own channel, "s0", "s1", ….
func slowMembers(t *testing.T, srv *Server, n int) (slow []*peer, names []string) {
	t.Helper()
	for i := range n {
		p := dial(t, srv)
		_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		p.write(upgradeHead("/ws"))
		p.expectUpgrade()
		names = append(names, fmt.Sprint("s", i))
		p.join(names[i])
		slow = append(slow, p)
	}
	return slow, names
}

// watchQueued returns a function that returns the largest size of all queues together until
// its call. A sum over loops is not taken at one instant, so one loop may have dropped what
// another added. Therefore the least of three consecutive sums counts.
func watchQueued(srv *Server) (most func() int64) {
	var highest atomic.Int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			highest.Store(max(highest.Load(), min(srv.group.Queued(), srv.group.Queued(), srv.group.Queued())))
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	return func() int64 {
		close(end)
		<-ended
		return highest.Load()
	}
}

// When all queues together reach -max-write-memory, the connections with the largest end
// first, with each slow policy. A member that reads gets everything. The bound holds.
func TestTheSlowestGoWhenAllQueuesAreFull(t *testing.T) {
	const bound = 2 << 20
	content := `"` + strings.Repeat("x", 15<<10) + `"`
	for policy, drop := range map[string]bool{"close": false, "drop": true} {
		t.Run(policy, func(t *testing.T) {
			// No single queue is ever full: all queues together stay below this.
			cfg := Config{MaxWriteMemory: bound, WriteQueueSize: 2 * bound, DropSlow: drop}
			srv, book := startLogged(t, cfg)
			slow, names := slowMembers(t, srv, 6)
			quick := connect(t, srv, "/ws")
			quick.join(names...)
			most := watchQueued(srv)
			say := func(channel string) {
				quick.broadcast(channel, content)
				quick.expectText(content)
			}
			closed := func() uint64 { return srv.Stats().Closed[reasonNames[reasonWriteMemory]] }
			gone := func(name string) bool { return srv.members(t, name) == 1 }
			// The first has five times as much queued as each of the others.
			for round := 0; !gone(names[0]); round++ {
				if round == 2000 {
					t.Fatalf("the queues are never full: %d bytes of %d", srv.group.Queued(), bound)
				}
				say(names[round%6])
				for range 4 {
					say(names[0])
				}
			}
			for _, name := range names[1:] {
				if gone(name) {
					t.Errorf("%s ended, but %s had more queued", name, names[0])
				}
			}
			f, err := slow[0].next()
			for ; err == nil && f.op == opText; f, err = slow[0].next() {
				if f.payload != content {
					t.Fatal("got an incomplete message")
				}
			}
			if err != nil || closeCode(f) != 4001 {
				t.Errorf("the slowest got %v, %v; want close 4001", f, err)
			}
			slow[0].expectEnd()
			testtool.Until(t, "it is counted", func() bool { return closed() == 1 })
			for n := 0; !gone(names[1]); n++ {
				if n == 2000 {
					t.Fatal("the queues are never full again")
				}
				say(names[1])
			}
			slice := buffer.MemoryFor(cfg.WriteQueueSize/4) + 16*fanoutBudget // the most that a busy loop may queue at once
			if got, limit := most(), int64(bound+len(srv.loops)*slice); got > limit {
				t.Errorf("all queues kept %d bytes at once, want at most %d", got, limit)
			}
			if !strings.Contains(book.String(), "the slowest connections are closed") {
				t.Error("nothing was logged")
			}
			if st := srv.Stats(); st.Dropped["slow_consumer"] != 0 {
				t.Errorf("dropped: %v", st.Dropped)
			}
			quick.usable()
		})
	}
}

// The slowest connections end on any loop: the loop that finds that the queues are full
// asks the loop with the largest queue.
func TestTheSlowestOfAnotherLoopGoes(t *testing.T) {
	const bound = 4 << 20
	content := `"` + strings.Repeat("x", 15<<10) + `"`
	srv := start(t, Config{MaxWriteMemory: bound, WriteQueueSize: 64 << 20})
	connectTo(t, srv, srv.loops[0]).join("large")
	connectTo(t, srv, srv.loops[1]).join("small")
	quick := connect(t, srv, "/ws")
	quick.join("large", "small")
	say := func(channel string) {
		quick.broadcast(channel, content)
		quick.expectText(content)
		settle(t, srv)
	}
	for srv.group.Queued() < bound/2 {
		say("large")
	}
	for srv.members(t, "large") == 2 {
		say("small")
		if srv.members(t, "small") == 1 {
			t.Fatal("the connection with less queued ended first")
		}
	}
	say("small")
	if n := srv.group.Queued(); n > bound/8*7 || srv.members(t, "small") != 2 {
		t.Errorf("%d bytes are queued, and %d are members", n, srv.members(t, "small"))
	}
}

// No more connections end than are needed to get below the bound.
func TestConnectionsThatAreNotTheSlowestStay(t *testing.T) {
	const bound = 4 << 20
	content := `"` + strings.Repeat("x", 1<<10) + `"`
	srv := start(t, Config{MaxWriteMemory: bound, WriteQueueSize: 64 << 20})
	_, names := slowMembers(t, srv, 21)
	quick := connect(t, srv, "/ws")
	fill := func(channel string, full func() bool) {
		for !full() {
			for range 16 {
				quick.broadcast(channel, content)
			}
			settle(t, srv)
		}
	}
	for i, name := range names[1:] {
		fill(name, func() bool { return srv.group.Queued() > int64(i+1)*bound/32*25/20 })
	}
	gone := func(name string) bool { return srv.members(t, name) == 0 }
	fill(names[0], func() bool { return gone(names[0]) })
	for _, name := range names[1:] {
		if gone(name) {
			t.Errorf("%s ended, too", name)
		}
	}
}

// Memory that another loop will free counts as free. Until that loop's turn, the largest
// queue of this loop stays, although this loop could empty it at once.
func TestALoopThatIsFullWaitsForTheSlowestOfAnother(t *testing.T) {
	const bound = 4 << 20
	content := `"` + strings.Repeat("x", 15<<10) + `"`
	srv := start(t, Config{MaxWriteMemory: bound, WriteQueueSize: 64 << 20})
	connectTo(t, srv, srv.loops[0]).join("large")
	connectTo(t, srv, srv.loops[1]).join("small")
	quick := connectTo(t, srv, srv.loops[1])
	quick.join("small")
	for srv.group.Queued() < bound/8*5 {
		quick.broadcast("large", content)
		settle(t, srv)
	}
	memberships := srv.Stats().Subscriptions
	release := make(chan struct{})
	srv.loops[0].net.Post(func() { <-release })
	for srv.group.Queued() <= bound {
		quick.broadcast("small", content)
		quick.expectText(content)
		if srv.Stats().Subscriptions != memberships {
			t.Error("the connection with less queued ended")
			break
		}
	}
	close(release)
	testtool.Until(t, "the largest is gone", func() bool { return srv.members(t, "large") == 0 })
	settle(t, srv)
	if n := srv.group.Queued(); n > bound/8*7 || srv.members(t, "small") != 2 {
		t.Errorf("%d bytes are queued, and %d are members", n, srv.members(t, "small"))
	}
}

// Answers to a client that does not read count too.
func TestAnswersCountForTheBound(t *testing.T) {
	srv := start(t, Config{MaxWriteMemory: 256 << 10, WriteQueueSize: 64 << 20})
	p := dial(t, srv)
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	p.write(upgradeHead("/ws"))
	p.expectUpgrade()
	most := watchQueued(srv)
	asks := strings.Repeat(message(`{"command":"leave","args":{"channel":"never joined"},"id":"`+strings.Repeat("i", 100)+`"}`), 100)
	for range 10_000 {
		if sessionsIn(t, srv, ending) == 1 || p.tryWrite(asks) != nil {
			break
		}
	}
	for f, err := p.next(); f.op != opClose; f, err = p.next() {
		if err != nil {
			t.Fatalf("%v before a Close frame", err)
		}
	}
	p.expectEnd()
	testtool.Until(t, "it is counted", func() bool { return srv.Stats().Closed["write_memory"] == 1 })
	if got, limit := most(), int64(256<<10+2*buffer.MemoryFor(64<<10)); got > limit {
		t.Errorf("all queues kept %d bytes at once, want at most %d", got, limit)
	}
}

// When no connection has a queue, the search for the slowest ends, although the goal is not
// reached.
func TestTheSearchForTheSlowestEnds(t *testing.T) {
	srv := start(t, Config{Loops: 3})
	p := connect(t, srv, "/ws")
	srv.memory.low = -1
	for range 3 {
		srv.endSlowest()
		testtool.Until(t, "the search has ended", func() bool { return !srv.memory.asked.Load() })
	}
	p.usable()
}

func TestWithoutABoundNothingIsCounted(t *testing.T) {
	var m writeMemory
	m.limit(0, 2)
	if m.step != 1<<64-1 || m.high != 0 {
		t.Errorf("no bound: %+v", &m)
	}
}
