package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestConnectionsSpreadOverTheLoops(t *testing.T) {
	const loops, each = 4, 16
	opened := make(chan int, loops*each)
	g := start(t, Config{Loops: loops}, &hooks{opened: func(c *Conn) { opened <- c.Loop().Index() }})
	addr := listen(t, g, "127.0.0.1:0")
	for range loops * each {
		dial(t, addr)
		await(t, opened, "Opened")
	}
	for i := range loops {
		if n := g.Loop(i).open.Load(); n != each {
			t.Errorf("loop %d has %d of %d connections, want %d", i, n, loops*each, each)
		}
	}
	if n := g.Connections(); n != loops*each {
		t.Errorf("Connections() = %d, want %d", n, loops*each)
	}
}

func TestANewConnectionGoesToTheLoopWithTheFewest(t *testing.T) {
	opened := make(chan uint64, 64)
	closed := make(chan struct{}, 64)
	g := start(t, Config{Loops: 2}, &hooks{
		opened: func(c *Conn) { opened <- c.ID() },
		closed: func(*Conn, Reason) { closed <- struct{}{} },
	})
	addr := listen(t, g, "127.0.0.1:0")
	var onSecond []uint64
	for range 8 {
		dial(t, addr)
		if id := await(t, opened, "Opened"); g.LoopOf(id).Index() == 1 {
			onSecond = append(onSecond, id)
		}
	}
	for _, id := range onSecond {
		g.LoopOf(id).PostTo(id, func(c *Conn) { c.Close(ReasonUser) })
		await(t, closed, "Closed")
	}
	on(t, g.Loop(1), func() {}) // the count is taken back behind Closed
	for range onSecond {
		dial(t, addr)
		if id := await(t, opened, "Opened"); g.LoopOf(id).Index() != 1 {
			t.Fatalf("a connection went to loop 0 with %d, loop 1 has %d", g.Loop(0).open.Load(), g.Loop(1).open.Load())
		}
	}
}

// TestEMFILE runs the server in a process of its own, whose limit it lowers. The
// clients' descriptors are this process'.
func TestEMFILE(t *testing.T) {
	t.Run("refuses at once, keeps what is open, does not spin, and recovers", func(t *testing.T) {
		s := startChild(t)
		regular := s.connect(4)
		wantEcho(t, regular...)
		s.tell("limit 6")
		var kept []net.Conn
		refused := 0
		for range 12 {
			if c := s.connect(1)[0]; echoes(t, c) {
				kept = append(kept, c)
			} else {
				refused++
			}
		}
		if len(kept) != 6 || refused != 6 {
			t.Fatalf("with 6 descriptors left %d of 12 were served and %d refused, want 6 and 6", len(kept), refused)
		}
		wantEcho(t, append(regular, kept...)...)
		st := s.stats()
		if st.refused != 6 || st.connections != 10 {
			t.Errorf("Refused = %d and Connections = %d, want 6 and 10", st.refused, st.connections)
		}
		wantEcho(t, regular...) // some rounds of epoll
		if again := s.stats(); again.tries != st.tries {
			t.Errorf("accept was called %d times although nobody came", again.tries-st.tries)
		}
		for _, c := range kept[:3] {
			_ = c.Close()
		}
		s.waitConnections(7)
		wantEcho(t, s.connect(3)...)
		if c := s.connect(1)[0]; echoes(t, c) {
			t.Error("a connection beyond the limit was served")
		}
	})
	t.Run("rests when not even the reserve is there", func(t *testing.T) {
		s := startChild(t)
		regular := s.connect(2)
		wantEcho(t, regular...)
		s.tell("limit 0")
		s.tell("steal")
		before := s.stats()
		waiting := s.connect(3) // the kernel's queue takes them
		wantEcho(t, regular...)
		for i := range 200 { // of which each is a round of epoll, while the listener rests
			wantEcho(t, regular[i%2])
		}
		// A rest is 250 ms: however slow the machine, a rest costs one or two calls.
		// A spin would make one for each round at least.
		during := s.stats()
		rests := 2 + int64(during.at.Sub(before.at)/acceptPause)
		if tries := during.tries - before.tries; tries > 2*rests {
			t.Errorf("accept was called %d times in %d rests", tries, rests)
		}
		s.tell("limit 100")
		wantEcho(t, waiting...)
		if st := s.stats(); st.refused != 0 || st.connections != 5 {
			t.Errorf("Refused = %d and Connections = %d, want 0 and 5", st.refused, st.connections)
		}
	})
	t.Run("is not believed when nobody waits", func(t *testing.T) {
		s := startChild(t)
		s.tell("limit 1")
		wantEcho(t, s.connect(1)...) // takes the last; the next accept answers EMFILE
		if st := s.stats(); st.refused != 0 || st.tries > 4 {
			t.Errorf("Refused = %d after %d calls of accept, want none refused and 4 calls at most", st.refused, st.tries)
		}
	})
}

func TestAGroupThatRunsOutOfDescriptorsLeavesNothing(t *testing.T) {
	s := startChild(t)
	for spare := range 12 { // two loops need six
		s.tell(fmt.Sprintf("open %d", spare))
	}
}

// What a security module answers is about a peer that stays in the queue.
func TestAListenerThatMayNotAcceptRests(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	n := p.g.listeners[0]
	var tries atomic.Int64
	on(t, p.l, func() {
		n.accept = func(int) (int, unix.Errno) {
			tries.Add(1)
			return -1, unix.EACCES
		}
	})
	dial(t, p.addr)
	until(t, "a try", func() bool { return tries.Load() > 0 })
	p.rounds(20)
	on(t, p.l, func() {
		if got := tries.Load(); got != 1 || !n.paused {
			t.Errorf("accept was called %d times, want once and a rest", got)
		}
		n.accept = accept
	})
	await(t, p.opened, "Opened, after the rest")
}

func wantEcho(t *testing.T, conns ...net.Conn) {
	t.Helper()
	for i, c := range conns {
		if !echoes(t, c) {
			t.Fatalf("connection %d of %d was refused", i, len(conns))
		}
	}
}

// echoes reports whether the server answers, or else has closed the connection.
func echoes(t *testing.T, c net.Conn) bool {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c, "ping")
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 4))
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return false
	}
	t.Fatalf("neither served nor refused: %v", err)
	return false
}

func TestAConnectionThatCannotBeRegisteredIsClosedAndLeavesNoTrace(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	file, err := unix.Open("/proc/self/status", unix.O_RDONLY|unix.O_CLOEXEC, 0) // epoll answers EPERM
	if err != nil {
		t.Fatal(err)
	}
	if err := p.g.Adopt(file, nil); err != nil {
		t.Fatal(err)
	}
	p.rounds(1)
	on(t, p.l, func() {
		if n := registered(t, p.l); n != 3 { // wheel, eventfd, listener
			t.Errorf("%d descriptors are registered, want 3", n)
		}
	})
	if s := p.g.Stats(); s.Connections != 0 || s.Refused != 1 {
		t.Errorf("Stats = %+v, want one refused", s)
	}
	if _, err := unix.FcntlInt(uintptr(file), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is still open: %v", err)
	}
	client, id := p.connect() // its number serves the next one
	on(t, p.l, func() {
		if n := p.l.slots.Len(); n != 1 {
			t.Errorf("%d slots are in use by one connection", n)
		}
	})
	_ = client.Close()
	p.wantClosed(id, ReasonPeerClosed)
}
