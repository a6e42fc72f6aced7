package netpoll

import (
	"testing"

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
	on(t, g.Loop(1), func() {}) // the count is reduced after Closed
	for range onSecond {
		dial(t, addr)
		if id := await(t, opened, "Opened"); g.LoopOf(id).Index() != 1 {
			t.Fatalf("a connection went to loop 0 with %d, loop 1 has %d", g.Loop(0).open.Load(), g.Loop(1).open.Load())
		}
	}
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
	client, id := p.connect() // the next connection reuses its number
	on(t, p.l, func() {
		if n := p.l.slots.Len(); n != 1 {
			t.Errorf("%d slots are in use by one connection", n)
		}
	})
	_ = client.Close()
	p.wantClosed(id, ReasonPeerClosed)
}
