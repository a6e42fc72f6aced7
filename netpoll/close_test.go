package netpoll

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheFirstReasonWinsAndClosedComesOnce(t *testing.T) {
	p := newProbe(t, Config{}, hooks{closed: func(c *Conn, _ Reason) { c.Close(ReasonInternal) }})
	client, id := p.connect()
	p.with(id, func(c *Conn) {
		c.Close(ReasonUser + 3)
		c.Close(ReasonUser + 4)
		c.Linger(ReasonUser+5, 0)
		if p.l.Conn(id) != nil {
			t.Error("a connection that was closed is still found")
		}
	})
	p.wantClosed(id, ReasonUser+3)
	wantEnd(t, client)
	p.wantQuiet()
}

// On easygo, where a task can come before the events of its batch.
func TestThereIsNoDataAfterClose(t *testing.T) {
	t.Run("in the same batch", func(t *testing.T) {
		p := newProbe(t, Config{ReadBufferSize: 8}, hooks{data: func(c *Conn, _ []byte) { c.Close(ReasonUser) }})
		client, id := p.connect()
		write(t, client, strings.Repeat("x", 100))
		p.wantClosed(id, ReasonUser)
		if got := await(t, p.data, "Data"); len(got) != 8 {
			t.Errorf("Data got %d bytes", len(got))
		}
		p.wantQuiet()
	})
	t.Run("from a task before the event", func(t *testing.T) {
		p := newProbe(t, Config{Poller: PollerEasygo}, hooks{})
		client, id := p.connect()
		release := p.hold()
		p.l.PostTo(id, func(c *Conn) { c.Close(ReasonUser) })
		write(t, client, "unread")
		release()
		p.wantClosed(id, ReasonUser)
		p.wantQuiet()
	})
	t.Run("of a connection closed in Opened", func(t *testing.T) {
		p := newProbe(t, Config{Poller: PollerEasygo}, hooks{opened: func(c *Conn) { c.Close(ReasonUser) }})
		ours, _ := socketPair(t)
		if err := p.g.Adopt(ours, []byte("head")); err != nil {
			t.Fatal(err)
		}
		p.wantClosed(await(t, p.opened, "Opened"), ReasonUser)
		p.wantQuiet()
	})
}

func TestAPeerThatEndsOrVanishesIsToldApart(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	_ = client.Close()
	p.wantClosed(id, ReasonPeerClosed)

	client, id = p.connect()
	reset(client)
	p.wantClosed(id, ReasonReset)

	client, id = p.connect()
	write(t, client, "last")
	_ = client.CloseWrite()
	p.wantClosed(id, ReasonPeerClosed)
	if got := await(t, p.data, "Data"); got != "last" {
		t.Errorf("Data got %q", got)
	}
	wantEnd(t, client)
}

func TestAHandlerMayCloseAnotherConnectionOfTheSameBatch(t *testing.T) {
	var a, b uint64
	p := newProbe(t, Config{}, hooks{data: func(c *Conn, _ []byte) {
		other := a
		if c.ID() == a {
			other = b
		}
		if c := c.Loop().Conn(other); c != nil {
			c.Close(ReasonUser)
		}
	}})
	first, idA := p.connect()
	second, idB := p.connect()
	on(t, p.l, func() { a, b = idA, idB })
	release := p.hold()
	write(t, first, "first")
	write(t, second, "second")
	release()
	p.wantClosed(idB, ReasonUser)
	if got := await(t, p.data, "Data"); got != "first" {
		t.Errorf("Data got %q", got)
	}
	p.wantQuiet() // the event of the second was in the batch, and was dropped
	p.with(idA, func(c *Conn) {
		if !c.Open() {
			t.Error("the first connection is not open")
		}
	})
}

// The batch is: a readable, a turn, the listener, b readable. The first closes b,
// the turn frees its descriptor, the listener takes the number for a new
// connection, and then the event of b is handled (I3, I4). With easygo the turn is
// an event of the batch, so a number can be closed and reused within one. The
// native poller closes at the end of a batch.
func TestANumberReusedWithinABatchNeverMeetsAnothersEvent(t *testing.T) {
	var a, b uint64
	p := newProbe(t, Config{Poller: PollerEasygo}, hooks{data: func(c *Conn, _ []byte) {
		if other := c.Loop().Conn(b); c.ID() == a && other != nil {
			other.Close(ReasonUser)
		}
	}})
	clientA, idA := p.connect()
	clientB, idB := p.connect()
	third := dialer(t, p)
	var number int
	on(t, p.l, func() {
		a, b = idA, idB
		number = int(p.l.Conn(b).fd)
		for p.l.slots.Len() < 64 {
			p.l.slots.Take() // so that the slot of b is the next, once it is free
		}
	})
	fillNumbersBelow(t, number)
	release := p.hold()
	write(t, clientA, "a")
	p.l.Wake()
	client := third()
	write(t, clientB, "b")
	release()
	idC := await(t, p.opened, "Opened")
	p.wantClosed(idB, ReasonUser)
	if got := await(t, p.data, "Data"); got != "a" {
		t.Errorf("Data got %q", got)
	}
	p.wantQuiet()
	p.with(idC, func(c *Conn) {
		if int(c.fd) != number {
			t.Fatalf("the new connection has number %d, the test needs %d", c.fd, number)
		}
		if c.Slot() == slotOf(idB) {
			t.Error("the slot was reused within the batch")
		}
	})
	write(t, client, "mine")
	if got := await(t, p.data, "Data"); got != "mine" {
		t.Errorf("Data got %q", got)
	}
}

// dialer opens a socket now, so that its number is taken. The function it returns
// connects the socket.
func dialer(t *testing.T, p *probe) (connect func() io.Writer) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func() io.Writer {
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port(p.addr)}); err != nil {
			t.Fatal(err)
		}
		return descriptor(fd)
	}
}

// fillNumbersBelow takes every free descriptor number below n.
func fillNumbersBelow(t *testing.T, n int) {
	t.Helper()
	for {
		fd := openReserve()
		if fd < 0 {
			t.Fatal("no descriptor")
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if fd > n {
			return
		}
	}
}
