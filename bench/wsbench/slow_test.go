//go:build linux

package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stampedText is a content that carries an instant.
func stampedText(n int, instant int64) []byte {
	p := text(n)
	putStamp(p, instant)
	return p
}

// readToTheEnd lets a stuck reader drain what a peer does with its end of a connection.
func readToTheEnd(t *testing.T, peer func(c *net.TCPConn)) fate {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := newSources().dial(l.Addr().(*net.TCPAddr).Port)
	if err != nil {
		t.Fatal(err)
	}
	k := &stuck{m: member{fd: fd}}
	defer k.close()
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer(c)
	return k.drain()
}

func TestAStuckReaderTellsHowTheServerEndedIt(t *testing.T) {
	message := serverFrame(0x81, stampedText(50, 1000))
	later := serverFrame(0x81, stampedText(50, 3000))
	tests := []struct {
		name     string
		peer     func(c *net.TCPConn)
		how      string
		code     uint16
		messages int
	}{
		{"by a Close frame", func(c *net.TCPConn) {
			c.Write(append(append(message, later...), serverFrame(0x88, []byte("\x0f\xa1too slow"))...))
		}, "a Close frame 4001", slowConsumer, 2},
		{"by its end of the stream", func(c *net.TCPConn) {
			c.Write(append(message, later[:20]...))
			c.Close()
		}, "the end of the stream without a Close frame", 0, 1},
		{"by a reset", func(c *net.TCPConn) {
			c.SetLinger(0)
			c.Close()
		}, "a reset", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := readToTheEnd(t, tt.peer)
			if got.how != tt.how || got.code != tt.code || got.messages != tt.messages {
				t.Errorf("found %d messages, %q and code %d, want %d, %q and %d", got.messages, got.how, got.code, tt.messages, tt.how, tt.code)
			}
			if tt.messages == 2 && got.span() != 2*time.Microsecond {
				t.Errorf("the messages span %v, want 2us", got.span())
			}
		})
	}
}

func TestWhatIsPublishedFillsTheQueueOfTheStuckReader(t *testing.T) {
	for _, args := range [][]string{
		{"-connections", "15000"}, {"-connections", "2000", "-stuck-time", "3s"}, {"-connections", "100", "-stuck-queue", "1048576"},
	} {
		b := smallBench(t, append([]string{"-stuck-time", "12s", "-delivery-rate", "40000"}, args...)...)
		sent := b.publishRate() * b.stuckTime.Seconds() * stuckShare * float64(b.stuckContent())
		if want := float64(b.stuckQueue + stuckKernel); sent < want*0.9 {
			t.Errorf("%v: %.0f bytes are published in time, want %.0f", args, sent, want)
		}
	}
}

func TestOnlyTheTreeIsToldTheSizeOfItsQueue(t *testing.T) {
	b := smallBench(t, "-against", "peer=/bin/peer")
	if got := b.stuckFlags(b.contenders[0]); len(got) != 2 {
		t.Errorf("flags of the tree: %v", got)
	}
	if got := b.stuckFlags(b.contenders[1]); got != nil {
		t.Errorf("flags of a peer: %v", got)
	}
}

// pipe returns a descriptor and what arrives at the other end of its connection so far.
func pipe(t *testing.T) (fd int, arrived func() []byte) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	buf := make([]byte, 64<<10)
	return fds[0], func() []byte {
		n, errno := recvNow(fds[1], buf)
		if errno == unix.EAGAIN {
			return nil
		}
		return buf[:n]
	}
}

func TestHalfAFrameIsNeverFinished(t *testing.T) {
	fd, arrived := pipe(t)
	f := &halfFrames{crowd: &crowd{members: []member{{fd: fd}}}, frame: clientFrame(opText, text(halfPayload)), sent: make([]int, 1)}
	f.send()
	got := bytes.Clone(arrived())
	if want := len(f.frame) - halfPayload/2; len(got) != want {
		t.Errorf("%d bytes are sent at first, want header and half of the payload, %d", len(got), want)
	}
	f.more(0, 1)
	if n := len(arrived()); n != 1 {
		t.Errorf("then %d bytes, want 1", n)
	}
	f.more(0, len(f.frame))
	arrived()
	for range 3 {
		f.more(0, 1)
	}
	if n := len(arrived()); n != 0 || f.sent[0] != len(f.frame)-1 {
		t.Errorf("%d of %d bytes of the frame are sent at most, want all but one", f.sent[0], len(f.frame))
	}
}

func TestHalvesThatWereClosedAndAnsweredAreTold(t *testing.T) {
	b := smallBench(t)
	s, err := b.start(b.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	f, err := b.openHalfFrames(s)
	if err != nil {
		t.Fatal(err)
	}
	defer f.crowd.close()
	b.remarkGone(s, "frames", &f.ends)
	if err := f.crowd.whole(); err != nil || len(b.record.Notes) != 0 {
		t.Fatalf("whole = %v, notes %v while all are open", err, b.record.Notes)
	}
	f.crowd.message(&f.crowd.members[0], event{size: 5})
	if err := f.crowd.whole(); err == nil || !strings.Contains(err.Error(), "answered with 5 bytes") {
		t.Errorf("whole = %v, want that half a frame was answered", err)
	}
	f.ends.note(nil, 1002)
	b.remarkGone(s, "frames", &f.ends)
	if len(b.record.Notes) != 1 || !strings.Contains(b.record.Notes[0].Text, "closed 1 of 20 half frames (1 with 1002)") {
		t.Errorf("notes %v, want that one was closed", b.record.Notes)
	}
}

func TestHalfAHeadIsTheBeginningOfAWholeOne(t *testing.T) {
	b := smallBench(t)
	s, err := b.start(b.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	h, err := b.openHeads(s)
	if err != nil {
		t.Fatal(err)
	}
	defer h.crowd.close()
	whole := s.target().upgradeRequest()
	if !bytes.HasPrefix(whole, h.head) || bytes.Contains(h.head, []byte("\r\n\r\n")) || len(h.head) == 0 {
		t.Errorf("half a head is %q", h.head)
	}
	h.answer(nil, []byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))
	h.answer(nil, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	h.answer(nil, []byte("surprise"))
	if h.told.Load() != 1 || h.others.Load() != 2 || *h.other.Load() != "HTTP/1.1 400 Bad Request" {
		t.Errorf("%d answers 408 and %d others, first %q", h.told.Load(), h.others.Load(), *h.other.Load())
	}
}

func TestEndingsAreToldByTheirCodes(t *testing.T) {
	var e endings
	for _, code := range []uint16{tryAgainLater, 0, tryAgainLater} {
		e.note(nil, code)
	}
	if got, want := e.String(), "1 without a Close frame, 2 with 1013"; got != want {
		t.Errorf("endings are %q, want %q", got, want)
	}
	if e.of(tryAgainLater) != 2 || e.count() != 3 || !e.await(3, time.Second) || e.await(4, time.Millisecond) {
		t.Errorf("of 1013: %d, all: %d", e.of(tryAgainLater), e.count())
	}
}

func TestLatenciesOfTheWebhookAreAList(t *testing.T) {
	got, err := parseLatencies("0, 10ms,1s")
	if err != nil || len(got) != 3 || got[0] != 0 || got[1] != 10*time.Millisecond || got[2] != time.Second {
		t.Errorf("parseLatencies = %v, %v", got, err)
	}
	for _, text := range []string{"", "1", "-1s", "1s,,2s"} {
		if _, err := parseLatencies(text); err == nil || !strings.Contains(err.Error(), "no duration") {
			t.Errorf("parseLatencies(%q) = %v", text, err)
		}
	}
}
