package netpoll

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAHalfClosedPeerGetsWhatIsQueued(t *testing.T) {
	b := shared(strings.Repeat("owed", 4<<20))
	defer b.Release()
	p := newProbe(t, Config{LingerTimeout: patience}, hooks{data: func(c *Conn, _ []byte) { c.SendShared(b) }})
	client, id := p.connect()
	write(t, client, "?")
	_ = client.CloseWrite()
	got, err := io.ReadAll(client)
	if err != nil || string(got) != string(b.Bytes()) {
		t.Fatalf("read %d bytes and %v, want %d and the end", len(got), err, b.Len())
	}
	p.wantClosed(id, ReasonPeerClosed)
	p.rounds(1)
	if !b.Sole() {
		t.Error("references were lost")
	}
}

func TestAHalfClosedPeerThatDoesNotReadIsCutAtTheTimeout(t *testing.T) {
	const timeout = 60 * time.Millisecond
	var expired int
	p := newProbe(t, Config{LingerTimeout: timeout, Tick: 5 * time.Millisecond}, hooks{expired: func(*Conn) { expired++ }})
	peer, id := p.adopt()
	var events interface{ Load() int64 }
	var began time.Time
	p.with(id, func(c *Conn) {
		events = countEvents(c)
		fill(t, c)
		began = time.Now()
	})
	_ = unix.Shutdown(peer, unix.SHUT_WR)
	until(t, "the end to be seen", func() (seen bool) {
		on(t, p.l, func() {
			c := p.l.Conn(id)
			if seen = c == nil || c.has(flagLingering); c != nil && seen {
				c.ClearDeadline() // a handler may not know of Linger, and must not lift the limit
				c.SetDeadline(time.Hour)
				c.Pause()
				c.Resume()
			}
		})
		return seen
	})
	p.wantClosed(id, ReasonPeerClosed)
	if took := time.Since(began); took < timeout {
		t.Errorf("cut after %v, want %v at least", took, timeout)
	}
	if n := events.Load(); n > 6 {
		t.Errorf("%d events of a connection on which nothing happens", n)
	}
	on(t, p.l, func() {
		if expired != 0 {
			t.Error("Expired was called for a connection that lingers")
		}
	})
}

func TestLingerDeliversTheLastMessageOverUnreadBytes(t *testing.T) {
	p := newProbe(t, Config{ReadBufferSize: 4096}, hooks{opened: (*Conn).Pause})
	client, id := p.connect()
	write(t, client, strings.Repeat("never handled ", 20_000))
	p.with(id, func(c *Conn) {
		c.Send([]byte("goodbye"))
		c.Linger(ReasonUser+1, patience)
		c.Linger(ReasonUser+2, 0) // the first call wins
		c.Pause()                 // Linger has to see the end
		if c.Paused() {
			t.Error("a connection that lingers was paused")
		}
	})
	write(t, client, "more on the way")
	wantRead(t, client, "goodbye")
	wantEnd(t, client) // a reset would be an error
	_ = client.Close()
	p.wantClosed(id, ReasonUser+1)
	p.wantQuiet() // no Data
}

func TestLingerWritesTheQueueFirst(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	b := shared(strings.Repeat("queued", 3<<20))
	defer b.Release()
	for name, send := range map[string]func(c *Conn) bool{
		"what the kernel did not take": func(c *Conn) bool { return c.SendShared(b) },
		"what waits for the turn":      func(c *Conn) bool { return c.QueueShared(b) },
	} {
		t.Run(name, func(t *testing.T) {
			client, id := p.connect()
			p.with(id, func(c *Conn) {
				if !send(c) {
					t.Error("send was refused")
				}
				c.Linger(ReasonUser, patience)
				if c.Queued() == 0 {
					t.Error("the test needs something queued")
				}
			})
			got, err := io.ReadAll(client)
			if err != nil || string(got) != string(b.Bytes()) {
				t.Fatalf("read %d bytes and %v, want %d and the end", len(got), err, b.Len())
			}
			_ = client.Close()
			p.wantClosed(id, ReasonUser)
		})
	}
}

func TestDropQueuedWhileLingeringStillEndsTheStream(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	b := shared("dropped")
	defer b.Release()
	p.with(id, func(c *Conn) {
		fill(t, c)
		c.QueueShared(b)
		q := c.queue()
		c.written(q.items[q.head].Len() - q.off) // as if the kernel had taken all but b
		c.Linger(ReasonUser, patience)
		c.DropQueued()
		if !c.has(flagShut) {
			t.Error("nothing is queued, and the write side is not shut down")
		}
	})
	drain(peer)
	_ = unix.Shutdown(peer, unix.SHUT_WR)
	p.wantClosed(id, ReasonUser)
}

func TestLingerCutsAPeerThatNeverCloses(t *testing.T) {
	const timeout = 50 * time.Millisecond
	p := newProbe(t, Config{Tick: 5 * time.Millisecond}, hooks{})
	client, id := p.connect()
	var began time.Time
	var events interface{ Load() int64 }
	p.with(id, func(c *Conn) {
		events = countEvents(c)
		began = time.Now()
		c.Send([]byte("goodbye"))
		c.Linger(ReasonUser, timeout)
	})
	wantRead(t, client, "goodbye")
	wantEnd(t, client)
	p.rounds(50)
	p.wantClosed(id, ReasonUser)
	if took := time.Since(began); took < timeout {
		t.Errorf("cut after %v, want %v at least", took, timeout)
	}
	if n := events.Load(); n > 3 {
		t.Errorf("%d events of a connection that waits for its peer", n)
	}
}

// On easygo, where a task can come before the events of its batch.
func TestLingerOfAResetConnectionEnds(t *testing.T) {
	p := newProbe(t, Config{Poller: PollerEasygo}, hooks{})
	t.Run("reset before", func(t *testing.T) {
		client, id := p.connect()
		release := p.hold()
		p.l.PostTo(id, func(c *Conn) { c.Linger(ReasonUser, patience) })
		reset(client)
		release()
		p.wantClosed(id, ReasonUser)
	})
	t.Run("reset after", func(t *testing.T) {
		client, id := p.connect()
		p.with(id, func(c *Conn) { c.Linger(ReasonUser, patience) })
		reset(client)
		p.wantClosed(id, ReasonUser)
	})
}

// A peer that reads slowly gets all that is queued, however often its time passes meanwhile. One
// that has stopped reading does not. The test lets the time pass.
func TestLingerGoesOnWhileThePeerReads(t *testing.T) {
	p := newProbe(t, Config{LingerTimeout: patience}, hooks{})
	b := shared(strings.Repeat("queued by", 5<<20))
	defer b.Release()
	linger := func(c *Conn) {
		c.SendShared(b)
		c.Linger(ReasonUser, patience)
	}
	client, id := p.connect()
	p.with(id, linger)
	got := make([]byte, b.Len())
	read := 0
	for range 2 {
		const piece = 12 << 20 // more than the kernel keeps, so something was written meanwhile
		if _, err := io.ReadFull(client, got[read:read+piece]); err != nil {
			t.Fatal(err)
		}
		read += piece
		p.with(id, (*Conn).lingerOver)
	}
	if _, err := io.ReadFull(client, got[read:]); err != nil || string(got) != string(b.Bytes()) {
		t.Errorf("the rest of %d bytes: %v", len(got), err)
	}
	wantEnd(t, client)
	_ = client.Close()
	p.wantClosed(id, ReasonUser)

	_, id = p.connect()
	p.with(id, linger)
	p.with(id, (*Conn).lingerOver)
	p.wantClosed(id, ReasonUser)
}

// A peer that reads a little now and then is not waited for without end.
func TestLingerEndsForAPeerThatReadsLittle(t *testing.T) {
	p := newProbe(t, Config{LingerTimeout: patience}, hooks{})
	b := shared(strings.Repeat("queued", 2<<20))
	defer b.Release()
	_, id := p.connect()
	p.with(id, func(c *Conn) {
		c.SendShared(b)
		c.Linger(ReasonUser, patience)
		for range maxLonger + 1 {
			c.queue().last++ // as if a byte had been written
			c.lingerOver()
		}
	})
	p.wantClosed(id, ReasonUser)
}
