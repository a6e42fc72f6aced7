package netpoll

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A buffer that many queues hold counts once, from the first hold to the last.
func TestWhatAllQueuesKeepCountsASharedBufferOnce(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, first := p.adopt()
	_, second := p.adopt()
	var before int64
	for _, id := range []uint64{first, second} {
		p.with(id, func(c *Conn) { fill(t, c) })
	}
	before = p.g.Queued()
	b := shared(strings.Repeat("s", 5000))
	defer b.Release()
	want := int64(b.Memory())
	for _, id := range []uint64{first, second} {
		p.with(id, func(c *Conn) {
			alone := c.Queued()
			if !c.SendShared(b) || c.Queued()-alone != cost(b) {
				t.Errorf("a connection counts %d bytes for a buffer of %d", c.Queued()-alone, b.Memory())
			}
		})
		if want += placeSize; p.g.Queued()-before != want {
			t.Errorf("all queues keep %d bytes more, want %d", p.g.Queued()-before, want)
		}
	}
	for _, id := range []uint64{first, second} {
		p.with(id, func(c *Conn) { c.Close(ReasonUser) })
	}
	p.rounds(2)
	if n := p.g.Queued(); n != 0 {
		t.Errorf("%d bytes are counted when nothing is queued", n)
	}
}

// queueOf gives the probe a connection whose peer reads nothing, with so many KiB
// queued behind a message sent in part.
func (p *probe) queueOf(kib int) (peer int, id uint64) {
	peer, id = p.adopt()
	b := shared(strings.Repeat("q", 1<<10))
	defer b.Release()
	p.with(id, func(c *Conn) {
		fill(p.t.(*testing.T), c)
		for range kib {
			c.SendShared(b)
		}
	})
	return peer, id
}

func TestTheLargestQueuesAreEmptiedFirst(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	ids := map[int]uint64{}
	for _, kib := range []int{5, 40, 10, 60, 20, 50} {
		_, ids[kib] = p.queueOf(kib)
	}
	for _, kib := range []int{60, 50, 40, 20, 10, 5} {
		on(t, p.l, func() {
			var emptied []uint64
			more := func() bool { return len(emptied) == 0 }
			if !p.l.EmptyLargest(1<<20, more, ReasonUser, func(c *Conn) { emptied = append(emptied, c.ID()) }) {
				t.Error("there is no queue")
			}
			if len(emptied) != 1 || emptied[0] != ids[kib] {
				t.Errorf("emptied %x, want %x, which has %d KiB", emptied, ids[kib], kib)
			}
			for _, id := range emptied {
				if c := p.l.Conn(id); c.out != 0 || !c.Open() {
					t.Error("a queue was not emptied, or its connection closed")
				}
			}
		})
	}
	if n := p.g.Queued(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
}

// A message sent in part stays, and the rest of the queue goes. When only that message
// is left, nothing but a reset frees its memory.
func TestEmptyingCutsNoMessageOfAConnectionThatGoesOn(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.adopt()
	p.with(id, func(c *Conn) {
		b := shared(strings.Repeat("b", 200_000))
		defer b.Release()
		c.SendShared(b)
		c.SendShared(b)
		told := 0
		tell := func(*Conn) { told++ }
		p.l.EmptyLargest(1, func() bool { return true }, ReasonUser, tell)
		if told != 1 || c.Queued() != cost(b) || c.queue().off == 0 {
			t.Errorf("slow was called %d times, %d bytes are left of one message", told, c.Queued())
		}
		checkQueue(t, c)
		p.l.EmptyLargest(1, func() bool { return true }, ReasonUser, tell)
		if told != 1 || c.Open() || p.l.MeasureLargest() != 0 {
			t.Errorf("slow was called %d times, open %v, the largest queue has %d bytes", told, c.Open(), p.l.LargestQueue())
		}
	})
	p.wantClosed(id, ReasonUser)
	if n := p.g.Queued(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
}

func TestEmptyingStopsBehindSoManyBuffers(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	for range 4 {
		p.queueOf(50)
	}
	emptied := 0
	on(t, p.l, func() {
		p.l.EmptyLargest(60, func() bool { return true }, ReasonUser, func(*Conn) { emptied++ })
	})
	if emptied != 2 {
		t.Errorf("%d queues of 50 buffers were emptied for 60, want 2", emptied)
	}
}

// A connection that is already ending is closed at once.
func TestALingeringConnectionIsClosedForItsMemory(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.queueOf(100)
	p.with(id, func(c *Conn) { c.Linger(ReasonUser+1, patience) })
	on(t, p.l, func() {
		p.l.EmptyLargest(1, func() bool { return true }, ReasonUser, func(*Conn) { t.Error("it was ended twice") })
	})
	p.wantClosed(id, ReasonUser+1)
	if n := p.g.Queued(); n != 0 {
		t.Errorf("%d bytes are counted", n)
	}
	drain(peer)
	if n, err := unix.Read(peer, make([]byte, 1)); n > 0 {
		t.Errorf("read %d, %v", n, err)
	}
}

// Small messages that wait for the kernel cost little more than their bytes, so the
// mark allows as many of them as before.
func TestSmallMessagesShareMemory(t *testing.T) {
	const size, mark = 22, 1 << 20
	p := newProbe(t, Config{MaxQueuedBytes: mark}, hooks{})
	_, id := p.adopt()
	b := shared(strings.Repeat("s", size))
	defer b.Release()
	p.with(id, func(c *Conn) {
		fill(t, c)
		n := 0
		for c.SendShared(b) {
			n++
		}
		if want := mark / (3 * size / 2); n < want {
			t.Errorf("a queue of %d bytes takes %d messages of %d, want %d at least", mark, n, size, want)
		}
		if !c.QueueShared(b) && c.Queued() > mark {
			t.Errorf("%d bytes are queued", c.Queued())
		}
		checkQueue(t, c)
	})
}
