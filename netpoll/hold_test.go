package netpoll

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatIsSentAfterAHoldFollowsIt(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	b := shared("shared")
	defer b.Release()
	p.with(id, func(c *Conn) {
		if !c.Hold([]byte("head ")) || !c.Send([]byte("copied ")) || !c.SendShared(b) || !c.SendUrgent([]byte(" urgent")) {
			t.Error("a connection on hold refuses what is sent")
		}
	})
	p.rounds(3) // turns flush what was queued in them
	p.with(id, func(c *Conn) {
		if all, _ := kept(t, c); all != 0 || c.has(flagWriteOn) || c.Queued() == 0 {
			t.Errorf("on hold, %d bytes are sent, write interest is %v, %d are queued", all, c.has(flagWriteOn), c.Queued())
		}
		c.LetGo()
		checkQueue(t, c)
		c.Send([]byte(" later"))
	})
	wantRead(t, client, "head copied shared urgent later")
}

func TestAHoldEndsWithTheConnection(t *testing.T) {
	p := newProbe(t, Config{MaxQueuedBytes: 4 << 10}, hooks{})
	client, id := p.connect()
	p.with(id, func(c *Conn) {
		if c.Hold(nil) {
			t.Error("nothing was held")
		}
		c.Hold([]byte("head "))
		for c.Send([]byte(strings.Repeat("x", 1<<10))) {
		}
		c.DropQueued()
		c.SendUrgent([]byte("end"))
		c.Linger(ReasonUser, patience)
	})
	if got, err := io.ReadAll(client); string(got) != "head end" || err != nil {
		t.Errorf("read %.40q, %v; want what was held and what was sent after the queue was dropped", got, err)
	}
	_ = client.Close()
	p.wantClosed(id, ReasonUser)
}

// On hold, a connection whose queue waited for the kernel before does not keep the loop busy.
func TestAHoldStopsAQueueThatWaits(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	p.with(id, func(c *Conn) {
		for c.out == 0 {
			c.Send(make([]byte, 4<<10))
		}
		c.Hold([]byte("head"))
	})
	drain(peer)
	var events func() int64
	p.with(id, func(c *Conn) { events = countEvents(c).Load })
	p.rounds(10)
	if n := events(); n > 0 {
		t.Errorf("%d events of a connection on hold", n)
	}
	p.with(id, func(c *Conn) { c.LetGo() })
	var got []byte
	until(t, "all is written", func() bool {
		got = append(got, drain(peer)...)
		return strings.HasSuffix(string(got), "head")
	})
	_ = unix.Shutdown(peer, unix.SHUT_WR)
	p.wantClosed(id, ReasonPeerClosed)
}
