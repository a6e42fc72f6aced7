package netpoll

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEveryByteArrivesOnceAndInOrder(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, _ := p.connect()
	want := "sent one byte at a time"
	var got strings.Builder
	for i := range want {
		write(t, client, want[i:i+1])
		got.WriteString(await(t, p.data, "Data"))
	}
	if got.String() != want {
		t.Fatalf("Data got %q, want %q", got.String(), want)
	}
}

func TestDataLargerThanTheReadBufferComesInPieces(t *testing.T) {
	const size = 4096
	p := newProbe(t, Config{ReadBufferSize: size}, hooks{})
	client, _ := p.connect()
	want := strings.Repeat("0123456789abcdef", 8*size/16) + "tail"
	release := p.hold()
	write(t, client, want)
	release()
	var got strings.Builder
	for got.Len() < len(want) {
		piece := await(t, p.data, "Data")
		if len(piece) > size {
			t.Fatalf("Data of %d bytes, want %d at most", len(piece), size)
		}
		got.WriteString(piece)
	}
	if got.String() != want {
		t.Fatal("the pieces do not make up what was sent")
	}
}

func TestABusyPeerLeavesRoomForOthers(t *testing.T) {
	const size, pieces = 1024, 20
	p := newProbe(t, Config{ReadBufferSize: size}, hooks{})
	a, _ := p.adopt()
	b, _ := p.adopt()
	release := p.hold()
	for range pieces {
		for fd, s := range map[int]string{a: "a", b: "b"} {
			if n, err := unix.Write(fd, bytes.Repeat([]byte(s), size)); n != size {
				t.Fatalf("write = %d, %v", n, err)
			}
		}
	}
	release()
	var order strings.Builder
	for range 2 * pieces {
		order.WriteByte(await(t, p.data, "Data")[0])
	}
	if got := order.String(); strings.Contains(got, "aa") || strings.Contains(got, "bb") {
		t.Fatalf("reads went %s, want them to alternate while both have data", got)
	}
}

func TestReceivedAndSentBytesAreCountedWithoutATurn(t *testing.T) {
	p := newProbe(t, Config{}, hooks{data: func(c *Conn, b []byte) { c.Send(b) }})
	client, _ := p.connect()
	write(t, client, "12345")
	wantRead(t, client, "12345")
	until(t, "the counts", func() bool {
		s := p.g.Stats()
		return s.BytesReceived == 5 && s.BytesSent == 5
	})
}

func TestWhilePausedUnreadBytesDoNotWakeTheLoop(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	var events interface{ Load() int64 }
	var fd int
	p.with(id, func(c *Conn) {
		events = countEvents(c)
		fd = int(c.fd)
		c.Pause()
		if !c.Paused() {
			t.Error("Paused() = false")
		}
	})
	if in, _ := interest(t, p.l, fd); in != interestRead {
		t.Errorf("interest is %#x before bytes arrive, want read: Pause alone costs no system call", in)
	}
	write(t, client, "unread")
	until(t, "the bytes to be reported", func() bool { return events.Load() > 0 })
	p.rounds(100)
	if n := events.Load(); n != 1 {
		t.Errorf("%d events in 100 rounds of a paused connection, want 1", n)
	}
	if in, ok := interest(t, p.l, fd); in != 0 || !ok {
		t.Errorf("interest while paused is %#x (registered: %v), want none", in, ok)
	}
	p.wantQuiet()
	p.with(id, (*Conn).Resume)
	if got := await(t, p.data, "Data"); got != "unread" {
		t.Errorf("after Resume Data got %q", got)
	}
	if in, _ := interest(t, p.l, fd); in != interestRead {
		t.Errorf("interest after Resume is %#x, want read", in)
	}
}

func TestPauseInDataTakesEffectAtOnce(t *testing.T) {
	p := newProbe(t, Config{ReadBufferSize: 4}, hooks{data: func(c *Conn, _ []byte) { c.Pause() }})
	client, id := p.connect()
	write(t, client, "onetwo")
	for _, want := range []string{"onet", "wo"} {
		if got := await(t, p.data, "Data"); got != want {
			t.Fatalf("Data got %q, want %q", got, want)
		}
		p.wantQuiet()
		p.with(id, (*Conn).Resume)
	}
}

func TestAHalfCloseWhilePausedIsSeenAfterResume(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	var events interface{ Load() int64 }
	p.with(id, func(c *Conn) {
		events = countEvents(c)
		c.Pause()
	})
	write(t, client, "last words")
	_ = client.CloseWrite()
	until(t, "an event", func() bool { return events.Load() > 0 })
	p.rounds(100)
	if n := events.Load(); n > 2 {
		t.Errorf("%d events in 100 rounds, want 2 at most", n)
	}
	p.wantQuiet()
	p.with(id, (*Conn).Resume)
	if got := await(t, p.data, "Data"); got != "last words" {
		t.Errorf("Data got %q", got)
	}
	p.wantClosed(id, ReasonPeerClosed)
}

func TestAHalfCloseWhilePausedEndsAConnectionThatIsNotNeededThen(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	t.Run("with nothing unread", func(t *testing.T) {
		client, id := p.connect()
		p.with(id, func(c *Conn) { c.Pause(); c.CloseOnEnd() })
		_ = client.CloseWrite()
		p.wantClosed(id, ReasonPeerClosed)
	})
	t.Run("not before what is unread", func(t *testing.T) {
		client, id := p.connect()
		p.with(id, func(c *Conn) { c.Pause(); c.CloseOnEnd() })
		write(t, client, "last words")
		_ = client.CloseWrite()
		p.rounds(100)
		p.with(id, (*Conn).Resume)
		if got := await(t, p.data, "Data"); got != "last words" {
			t.Errorf("Data got %q", got)
		}
		p.wantClosed(id, ReasonPeerClosed)
	})
	t.Run("and no longer than until Resume", func(t *testing.T) {
		client, id := p.connect()
		var events interface{ Load() int64 }
		p.with(id, func(c *Conn) {
			c.Pause()
			c.CloseOnEnd()
			c.Resume()
			c.Pause()
			events = countEvents(c)
		})
		_ = client.CloseWrite()
		until(t, "an event", func() bool { return events.Load() > 0 })
		p.rounds(100)
		p.with(id, func(c *Conn) {
			if !c.Open() {
				t.Error("it ended while it was paused again")
			}
			c.Resume()
		})
		p.wantClosed(id, ReasonPeerClosed)
	})
}

func TestAResetWhilePausedClosesTheConnection(t *testing.T) {
	t.Run("with read interest on", func(t *testing.T) {
		p := newProbe(t, Config{}, hooks{})
		client, id := p.connect()
		p.with(id, (*Conn).Pause)
		reset(client)
		p.wantClosed(id, ReasonReset)
	})
	t.Run("with read interest off", func(t *testing.T) {
		p := newProbe(t, Config{}, hooks{})
		client, id := p.connect()
		p.with(id, (*Conn).Pause)
		write(t, client, "unread")
		until(t, "read interest to go", func() (off bool) {
			p.with(id, func(c *Conn) { off = c.has(flagReadOff) })
			return off
		})
		reset(client)
		p.wantClosed(id, ReasonReset)
	})
}

// reset makes the kernel end the connection with RST.
func reset(c interface {
	SetLinger(sec int) error
	Close() error
}) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func TestAnEventLateForAClosedConnectionIsIgnored(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	p.with(id, func(c *Conn) {
		c.Close(ReasonUser)
		c.ready(unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLHUP | unix.EPOLLERR)
	})
	p.wantClosed(id, ReasonUser)
	p.wantQuiet()
}

func TestASpuriousEventIsHarmless(t *testing.T) {
	p := newProbe(t, Config{}, hooks{data: func(c *Conn, b []byte) { c.Send(b) }})
	client, id := p.connect()
	p.with(id, func(c *Conn) { c.ready(unix.EPOLLIN | unix.EPOLLOUT) })
	write(t, client, "fine")
	wantRead(t, client, "fine")
}
