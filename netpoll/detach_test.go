package netpoll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDetachGivesTheDescriptorAwayOpenAndUnregistered(t *testing.T) {
	for name, before := range map[string]func(c *Conn){
		"of an open connection":         func(*Conn) {},
		"with a deadline":               func(c *Conn) { c.SetDeadline(time.Hour) },
		"after Close in the same event": func(c *Conn) { c.Close(ReasonUser) },
	} {
		t.Run(name, func(t *testing.T) {
			fds := make(chan int, 1)
			p := newProbe(t, Config{}, hooks{data: func(c *Conn, _ []byte) {
				before(c)
				fds <- c.Detach()
			}})
			client, id := p.connect()
			write(t, client, "mine now")
			fd := await(t, fds, "Detach")
			defer unix.Close(fd)
			await(t, p.data, "Data")
			p.rounds(3)
			if _, ok := interest(t, p.l, fd); ok {
				t.Error("the descriptor is still registered")
			}
			on(t, p.l, func() {
				if n := registered(t, p.l); n != 3 || p.l.Conn(id) != nil || p.l.wheel.count != 0 {
					t.Errorf("%d registered, %d deadlines: want 3 and none", n, p.l.wheel.count)
				}
			})
			write(t, descriptor(fd), "still open")
			wantRead(t, client, "still open")
			write(t, client, "not for the loop")
			p.wantQuiet() // neither Data nor Closed
			if n := p.g.Connections(); n != 0 {
				t.Errorf("Connections() = %d", n)
			}
			_, next := p.connect()
			p.with(next, func(c *Conn) { c.Close(ReasonUser) })
			p.wantClosed(next, ReasonUser)
		})
	}
}

func TestDetachInClosedKeepsTheDescriptor(t *testing.T) {
	fds := make(chan int, 1)
	p := newProbe(t, Config{}, hooks{closed: func(c *Conn, _ Reason) { fds <- c.Detach() }})
	client, id := p.connect()
	p.with(id, func(c *Conn) { c.Close(ReasonUser) })
	fd := await(t, fds, "Detach")
	defer unix.Close(fd)
	p.rounds(3)
	write(t, descriptor(fd), "kept")
	wantRead(t, client, "kept")
	if n := p.g.Connections(); n != 0 {
		t.Errorf("Connections() = %d", n)
	}
}
