package netpoll

import (
	"io"
	"testing"
)

func TestWhenWrittenIsToldOnceTheQueueIsEmpty(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	told := make(chan int, 10)
	tell := func(n int) func(*Conn) {
		return func(c *Conn) {
			if c.out != 0 {
				t.Error("told, and something is queued")
			}
			told <- n
		}
	}
	p.with(id, func(c *Conn) { c.WhenWritten(tell(0)) })
	if n := <-told; n != 0 {
		t.Fatalf("told %d of an empty queue", n)
	}
	p.with(id, func(c *Conn) {
		for c.out == 0 {
			c.Send(make([]byte, 4<<10))
		}
		c.WhenWritten(tell(1))
		c.WhenWritten(tell(2)) // in place of the first
	})
	p.rounds(3)
	select {
	case n := <-told:
		t.Fatalf("told %d before the queue is empty", n)
	default:
	}
	until(t, "the queue is empty", func() bool { drain(peer); return len(told) > 0 })
	if n := <-told; n != 2 {
		t.Fatalf("told %d, want the second function", n)
	}
	p.with(id, func(c *Conn) { c.Send([]byte("more")) })
	p.rounds(3)
	if len(told) > 0 {
		t.Error("told twice")
	}
}

func TestWhenWrittenIsForgottenWithTheConnection(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	p.with(id, func(c *Conn) {
		for c.out == 0 {
			c.Send(make([]byte, 64<<10))
		}
		c.WhenWritten(func(*Conn) { t.Error("told of a connection that has ended") })
		c.Close(ReasonUser)
	})
	p.wantClosed(id, ReasonUser)
	_, _ = io.Copy(io.Discard, client)
	_, other := p.connect()
	p.with(other, func(c *Conn) {
		if n := len(c.Loop().whenWritten); n > 0 {
			t.Errorf("%d functions are left", n)
		}
	})
}
