package netpoll

import (
	"bytes"
	"io"
	"os"
	ossignal "os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fill sends shared buffers to c until the kernel takes one only in part, or not at
// all. It returns what it sent.
func fill(t *testing.T, c *Conn) string {
	t.Helper()
	var all strings.Builder
	b := shared(strings.Repeat("filling ", 100))
	defer b.Release()
	for c.out == 0 {
		if !c.SendShared(b) {
			t.Error("SendShared = false on an open connection")
			break
		}
		all.Write(b.Bytes())
	}
	return all.String()
}

func TestWhatTheKernelDoesNotTakeIsQueuedByReferenceAndFollowsInOrder(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	b := shared(strings.Repeat("s", 700))
	defer b.Release()
	var want strings.Builder
	p.with(id, func(c *Conn) {
		want.WriteString(fill(t, c))
		for i := range 50 {
			if !c.SendShared(b) || !c.Send([]byte{byte(i)}) {
				t.Errorf("send %d was refused", i)
			}
			want.Write(b.Bytes())
			want.WriteByte(byte(i))
		}
		if q := c.queue(); &q.items[q.head+1].Bytes()[0] != &b.Bytes()[0] {
			t.Error("a shared buffer was copied into the queue")
		}
		checkQueue(t, c)
	})
	var got bytes.Buffer
	for got.Len() < want.Len() {
		got.Write(drain(peer))
		p.rounds(1)
	}
	if got.String() != want.String() {
		t.Fatal("bytes were lost or changed places")
	}
	p.with(id, func(c *Conn) {
		if c.out != 0 || c.Queued() != 0 {
			t.Errorf("%d bytes are queued after everything was read", c.Queued())
		}
		checkQueue(t, c)
	})
	if !b.Sole() {
		t.Error("references to the shared buffer were lost")
	}
}

func TestWriteInterestIsOnExactlyWhileSomethingIsQueued(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	var fd, queued int
	p.with(id, func(c *Conn) { fd = int(c.fd) })
	wantInterest := func(want uint32) {
		t.Helper()
		if got, _ := interest(t, p.l, fd); got != want {
			t.Fatalf("interest at the kernel is %#x with %d bytes queued, want %#x", got, queued, want)
		}
	}
	wantInterest(interestRead)
	for range 3 { // I5
		p.with(id, func(c *Conn) {
			fill(t, c)
			queued = c.Queued()
		})
		wantInterest(interestRead | interestWrite)
		p.rounds(5) // during which the kernel takes nothing
		wantInterest(interestRead | interestWrite)
		for queued > 0 {
			drain(peer)
			p.rounds(1)
			p.with(id, func(c *Conn) { queued = c.Queued() })
		}
		wantInterest(interestRead)
	}
	p.with(id, func(c *Conn) {
		fill(t, c)
		c.DropQueued()
		c.DropQueued() // again: the message sent in part stays
	})
	drain(peer)
	p.rounds(2)
	wantInterest(interestRead)
}

func TestAFullKernelBufferDoesNotSpin(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	var events interface{ Load() int64 }
	p.with(id, func(c *Conn) {
		events = countEvents(c)
		fill(t, c)
	})
	p.rounds(100)
	if n := events.Load(); n > 1 {
		t.Errorf("%d events in 100 rounds while the peer reads nothing, want 1 at most", n)
	}
	drain(peer)
}

// segments returns how many segments with data the kernel has sent on c.
func segments(t *testing.T, c *Conn) uint32 {
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.Data_segs_out
}

// Nagle's algorithm is off, so every send system call on an idle connection is a
// segment of its own, and a gathered write is one.
func TestWhatIsQueuedSharedInATurnLeavesInOneWrite(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	b := shared("piece ")
	defer b.Release()
	sendAll := func(send func(c *Conn) bool) (sent uint32) {
		p.with(id, func(c *Conn) {
			sent = segments(t, c)
			for range 5 {
				if !send(c) {
					t.Error("send was refused")
				}
			}
		})
		wantRead(t, client, strings.Repeat("piece ", 5))
		p.with(id, func(c *Conn) { sent = segments(t, c) - sent })
		return sent
	}
	if n := sendAll(func(c *Conn) bool { return c.SendShared(b) }); n != 5 {
		t.Errorf("5 SendShared made %d segments, want 5 (else this test measures nothing)", n)
	}
	if n := sendAll(func(c *Conn) bool { return c.QueueShared(b) }); n != 1 {
		t.Errorf("5 QueueShared in a turn made %d segments, want 1", n)
	}
	if !b.Sole() {
		t.Error("references were lost")
	}
}

func TestQueueSharedOutsideATurnAsksForOne(t *testing.T) {
	b := shared("answer")
	defer b.Release()
	t.Run("from Data", func(t *testing.T) {
		p := newProbe(t, Config{}, hooks{data: func(c *Conn, _ []byte) { c.QueueShared(b) }})
		client, _ := p.connect()
		write(t, client, "?")
		wantRead(t, client, "answer")
	})
	t.Run("from Closed of another connection", func(t *testing.T) {
		var second uint64
		p := newProbe(t, Config{}, hooks{closed: func(c *Conn, _ Reason) {
			if other := c.Loop().Conn(second); other != nil {
				other.QueueShared(b)
			}
		}})
		_, first := p.connect()
		client, id := p.connect()
		on(t, p.l, func() {
			second = id
			p.l.Conn(first).Close(ReasonUser)
		})
		wantRead(t, client, "answer")
	})
}

func TestEmptyMessagesAreTakenAndSendNothing(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	empty, full := shared(""), shared("full")
	defer empty.Release()
	defer full.Release()
	p.with(id, func(c *Conn) {
		if !c.Send(nil) || !c.SendUrgent(nil) || !c.SendShared(empty) || !c.QueueShared(empty) || !c.QueueShared(full) || !c.QueueShared(empty) || !c.SendShared(empty) {
			t.Error("an empty message was refused")
		}
	})
	wantRead(t, client, "full")
	if !empty.Sole() {
		t.Error("references were lost")
	}
}

func TestNothingIsSentOnceTheConnectionEnds(t *testing.T) {
	b := shared("late")
	defer b.Release()
	for name, end := range map[string]func(c *Conn){
		"after Close":  func(c *Conn) { c.Close(ReasonUser) },
		"after Linger": func(c *Conn) { c.Linger(ReasonUser, patience) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProbe(t, Config{}, hooks{})
			client, id := p.connect()
			p.with(id, func(c *Conn) {
				end(c)
				if c.Open() {
					t.Error("Open() = true")
				}
				if c.Send([]byte("late")) || c.SendUrgent([]byte("late")) || c.SendShared(b) || c.QueueShared(b) {
					t.Error("a connection that ends took a message")
				}
			})
			wantEnd(t, client)
			_ = client.Close()
			p.wantClosed(id, ReasonUser)
			if !b.Sole() {
				t.Error("references were lost")
			}
		})
	}
}

// On easygo, where a task can come before the events of its batch.
func TestSendToAPeerThatVanishedClosesTheConnection(t *testing.T) {
	p := newProbe(t, Config{Poller: PollerEasygo}, hooks{})
	client, id := p.connect()
	release := p.hold()
	sent := make(chan bool, 3)
	p.l.PostTo(id, func(c *Conn) { // before the event of the reset
		b := shared("lost")
		defer b.Release()
		sent <- c.Send([]byte("lost"))
		sent <- c.SendShared(b)
		sent <- c.QueueShared(b)
		if !b.Sole() {
			t.Error("references were lost")
		}
	})
	reset(client)
	release()
	p.wantClosed(id, ReasonReset)
	for range 3 {
		if await(t, sent, "Send") {
			t.Error("Send to a peer that has reset the connection = true")
		}
	}
	p.wantQuiet()
}

// A gathered write to a peer that has closed is an error, not a signal to the process.
func TestAGatheredWriteRaisesNoSignal(t *testing.T) {
	signals := make(chan os.Signal, 8)
	ossignal.Notify(signals, unix.SIGPIPE, unix.SIGWINCH)
	defer ossignal.Stop(signals)
	p := newProbe(t, Config{}, hooks{})
	peer, id := p.adopt()
	p.with(id, func(c *Conn) {
		_ = unix.Shutdown(peer, unix.SHUT_RDWR)
		for range 2 {
			b := shared("piece")
			c.QueueShared(b)
			b.Release()
		}
	})
	p.wantClosed(id, ReasonReset)
	if err := unix.Kill(unix.Getpid(), unix.SIGWINCH); err != nil { // SIGPIPE would be delivered first: its number is lower
		t.Fatal(err)
	}
	if got := await(t, signals, "a signal"); got != unix.SIGWINCH {
		t.Errorf("got %v", got)
	}
}

func TestAResetWithAFullQueueReleasesIt(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	b := shared(strings.Repeat("x", 100_000))
	defer b.Release()
	p.with(id, func(c *Conn) {
		for c.SendShared(b) {
		}
		if !c.Open() || c.Queued() == 0 {
			t.Error("the test needs a full queue")
		}
	})
	reset(client)
	p.wantClosed(id, ReasonReset)
	p.rounds(1)
	if !b.Sole() {
		t.Error("the queue of a closed connection keeps references")
	}
	if s := p.g.Stats(); s.QueuedBytes != 0 {
		t.Errorf("QueuedBytes = %d with no connection", s.QueuedBytes)
	}
}

func TestALargeMessageArrivesWholeOverTCP(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	message := make([]byte, 8<<20)
	for i := range message {
		message[i] = byte(i * 7 >> 3)
	}
	p.with(id, func(c *Conn) {
		if !c.Send(message) {
			t.Error("Send = false")
		}
	})
	got := make([]byte, len(message))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, message) {
		t.Fatalf("read: %v; equal: %v", err, bytes.Equal(got, message))
	}
}
