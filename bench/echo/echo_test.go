package main

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

func TestMessagesComeBackAsTheyCame(t *testing.T) {
	addr := run(t)
	for _, path := range []string{"/", "/ws", "/any/path?with=query"} {
		c := connect(t, addr, path)
		for _, payload := range []string{"", "a", "κόσμε", strings.Repeat("x", 125), strings.Repeat("x", 126), strings.Repeat("x", 1<<16), strings.Repeat("x", 1<<20)} {
			c.send(ws.NewTextFrame([]byte(payload)))
			c.expect(ws.OpText, payload)
			c.send(ws.NewBinaryFrame([]byte(payload + "\xff")))
			c.expect(ws.OpBinary, payload+"\xff")
		}
		c.send(ws.NewPingFrame([]byte("p")))
		c.expect(ws.OpPong, "p")
		c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(3000, "bye")))
		c.expectClose(3000)
	}
}

func TestFragmentsComeBackAsOneMessage(t *testing.T) {
	c := connect(t, run(t), "/")
	c.send(ws.NewFrame(ws.OpText, false, []byte("one ")))
	c.send(ws.NewPingFrame(nil))
	c.send(ws.NewFrame(ws.OpContinuation, false, nil))
	c.send(ws.NewFrame(ws.OpContinuation, true, []byte("message")))
	c.expect(ws.OpPong, "")
	c.expect(ws.OpText, "one message")
}

func TestFramesBehindTheHeadAreAnswered(t *testing.T) {
	c := dial(t, run(t))
	c.write(head("/") + masked(t, ws.NewTextFrame([]byte("early"))))
	c.response()
	c.expect(ws.OpText, "early")
}

func TestAHeadMayComeInSingleBytes(t *testing.T) {
	c := dial(t, run(t))
	for _, b := range []byte(head("/") + masked(t, ws.NewTextFrame([]byte("slow")))) {
		c.write(string([]byte{b}))
	}
	c.response()
	c.expect(ws.OpText, "slow")
}

func TestAMessageOverTheLimitIsRefusedWith1009(t *testing.T) {
	addr := run(t, "-max-message-size", "1000", "-loops", "1")
	c := connect(t, addr, "/")
	c.send(ws.NewBinaryFrame(make([]byte, 1000)))
	c.expect(ws.OpBinary, string(make([]byte, 1000)))
	c.send(ws.NewBinaryFrame(make([]byte, 1001)))
	c.expectClose(1009)
	c = connect(t, addr, "/")
	c.send(ws.NewFrame(ws.OpText, false, make([]byte, 999)))
	c.send(ws.NewFrame(ws.OpContinuation, true, make([]byte, 2)))
	c.expectClose(1009)
}

func TestErrorsOfThePeerHaveTheirCodes(t *testing.T) {
	addr := run(t)
	for _, tc := range []struct {
		name, raw string
		code      ws.StatusCode
	}{
		{"not masked", "\x81\x01a", 1002},
		{"reserved bits", "\xc1\x80\x00\x00\x00\x00", 1002},
		{"bad UTF-8", masked(t, ws.NewTextFrame([]byte("\xff"))), 1007},
		{"a close code that may not be sent", masked(t, ws.NewCloseFrame([]byte{0x03, 0xed})), 1002},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, addr, "/")
			c.send(ws.NewTextFrame([]byte("before")))
			c.write(tc.raw)
			c.expect(ws.OpText, "before")
			c.expectClose(tc.code)
		})
	}
}

func TestAnEmptyCloseFrameIsAnsweredByAnEmptyOne(t *testing.T) {
	c := connect(t, run(t), "/")
	c.send(ws.NewCloseFrame(nil))
	c.expect(ws.OpClose, "")
}

func TestWhatIsNoUpgradeIsRefused(t *testing.T) {
	addr := run(t)
	for _, tc := range []struct {
		name, sent string
		status     int
	}{
		{"a plain request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426},
		{"no request", "hello\r\n\r\n", 400},
		{"another version of the protocol", strings.Replace(head("/"), "Version: 13", "Version: 8", 1), 426},
		{"a head that is too large", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 8<<10) + "\r\n\r\n", 431},
		{"a head that does not end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 8<<10), 431},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, addr)
			c.write(tc.sent)
			if res := c.response(); res.StatusCode != tc.status {
				t.Errorf("status %d, want %d", res.StatusCode, tc.status)
			}
		})
	}
	connect(t, addr, "/").send(ws.NewTextFrame(nil))
}

// A peer that sends and never reads fills its queue, and is closed; others go on.
func TestAPeerThatNeverReadsIsClosed(t *testing.T) {
	addr := run(t, "-max-message-size", "65536")
	deaf := connect(t, addr, "/")
	frame := masked(t, ws.NewBinaryFrame(make([]byte, 65536)))
	var err error
	for range 10_000 {
		if _, err = io.WriteString(deaf.Conn, frame); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("655 MB are taken from a peer that never reads: %v", err)
	}
	c := connect(t, addr, "/")
	c.send(ws.NewTextFrame([]byte("others")))
	c.expect(ws.OpText, "others")
}

func TestItSaysWhyItCannotStart(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-listen-addr", busy.Addr().String()}, 1, "address already in use"},
		{[]string{"-nonsense"}, 2, "-nonsense"},
	} {
		out, err := program(tc.args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != tc.code || !strings.Contains(string(out), tc.says) {
			t.Errorf("echo %q: %v, %q; want exit code %d and %q", tc.args, err, out, tc.code, tc.says)
		}
	}
}
