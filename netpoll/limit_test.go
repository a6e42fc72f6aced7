package netpoll

import (
	"strings"
	"testing"

	"wsify/internal/buffer"
)

// A queue refuses the message that would pass its mark by one byte, and takes the
// one that just fits.
func TestTheMarkIsExact(t *testing.T) {
	const size = 1 << 10 // of each message, and the capacity of its buffer
	one := placeSize + buffer.MemoryFor(size)
	for mark, fit := range map[int]int{10 * one: 9, 10*one - 1: 8} {
		p := newProbe(t, Config{MaxQueuedBytes: mark}, hooks{})
		_, id := p.adopt()
		p.with(id, func(c *Conn) {
			first := shared(strings.Repeat("f", size))
			defer first.Release()
			for c.out == 0 {
				c.SendShared(first)
			}
			taken := 0
			for ; ; taken++ {
				b := shared(strings.Repeat("m", size))
				ok := c.SendShared(b)
				b.Release()
				if !ok {
					break
				}
			}
			if taken != fit {
				t.Errorf("with a mark of %d bytes %d messages of %d each were taken behind the first, want %d", mark, taken, one, fit)
			}
			checkQueue(t, c)
		})
	}
}

func TestTheHighWaterMark(t *testing.T) {
	const mark = 10_000
	p := newProbe(t, Config{MaxQueuedBytes: mark}, hooks{})
	peer, id := p.adopt()
	big := shared(strings.Repeat("b", 5*mark))
	defer big.Release()
	p.with(id, func(c *Conn) {
		if !c.SendShared(big) {
			t.Error("an empty queue refused a message above the mark")
		}
		if c.Queued() <= mark {
			t.Fatalf("%d bytes are queued, the test needs more than %d", c.Queued(), mark)
		}
		queued, one := c.Queued(), shared("x")
		defer one.Release()
		if c.Send([]byte("x")) || c.SendShared(one) || c.QueueShared(one) {
			t.Error("a queue above the mark took more")
		}
		if c.Queued() != queued || !one.Sole() || !c.Open() {
			t.Errorf("a refused message left a trace: %d queued, was %d, open %v", c.Queued(), queued, c.Open())
		}
	})
	for done := false; !done; {
		drain(peer)
		p.with(id, func(c *Conn) { done = c.Queued() == 0 })
	}
	p.with(id, func(c *Conn) {
		fill(t, c)
		for c.Send(make([]byte, 100)) {
		}
		one := placeSize + buffer.MemoryFor(125)
		if c.Queued() > mark || c.Queued() <= mark-one {
			t.Errorf("refused at %d bytes, want less than %d below %d", c.Queued(), one, mark)
		}
		if !c.SendUrgent(make([]byte, 125)) {
			t.Error("a control frame was refused at the mark")
		}
		for c.SendUrgent(make([]byte, 125)) {
		}
		if c.Queued() > mark+urgentReserve || c.Queued() <= mark+urgentReserve-one {
			t.Errorf("control frames were refused at %d bytes, want less than %d below %d", c.Queued(), one, mark+urgentReserve)
		}
		checkQueue(t, c)
	})
}

func TestDropQueuedKeepsAMessageThatIsCut(t *testing.T) {
	send := map[string]func(c *Conn, p string) bool{
		"Send":       func(c *Conn, p string) bool { return c.Send([]byte(p)) },
		"SendUrgent": func(c *Conn, p string) bool { return c.SendUrgent([]byte(p)) },
		"SendShared": func(c *Conn, p string) bool {
			b := shared(p)
			defer b.Release()
			return c.SendShared(b)
		},
	}
	for name, send := range send {
		t.Run("sent with "+name, func(t *testing.T) {
			p := newProbe(t, Config{}, hooks{})
			peer, id := p.adopt()
			message := "<" + strings.Repeat("m", 200_000) + ">"
			dropped := shared("never seen")
			defer dropped.Release()
			p.with(id, func(c *Conn) {
				if !send(c, message) || c.out == 0 || c.queue().off == 0 {
					t.Fatalf("%d bytes are queued, the test needs a part", c.Queued())
				}
				for range 10 {
					c.QueueShared(dropped)
				}
				c.DropQueued()
				checkQueue(t, c)
				if !c.SendUrgent([]byte("goodbye")) {
					t.Error("the queue took nothing after DropQueued")
				}
			})
			var got []byte
			for want := len(message) + len("goodbye"); len(got) < want; {
				got = append(got, drain(peer)...)
				p.rounds(1)
				p.with(id, func(c *Conn) {
					if c.out == 0 {
						want = 0 // everything was written
					}
				})
			}
			got = append(got, drain(peer)...)
			if string(got) != message+"goodbye" {
				t.Errorf("the peer got %d bytes, %.20q ... %.20q: want the whole message, then goodbye", len(got), got, got[max(0, len(got)-20):])
			}
			if !dropped.Sole() {
				t.Error("dropped buffers keep references")
			}
		})
	}
}

func TestDropQueuedDropsAllWhenNothingIsCut(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	b := shared("never seen")
	defer b.Release()
	p.with(id, func(c *Conn) {
		c.QueueShared(b)
		c.QueueShared(b)
		c.DropQueued()
		if c.Queued() != 0 || c.out != 0 || !b.Sole() {
			t.Errorf("%d bytes are queued after DropQueued", c.Queued())
		}
		c.Send([]byte("next"))
	})
	wantRead(t, client, "next")
}
