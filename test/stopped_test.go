package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// When a stopped process continues, every deadline has passed, and data that came in time is
// unread. It has to read before a deadline counts.
func TestPongsThatCameWhileTheServerWasStoppedCount(t *testing.T) {
	endToEnd(t)
	t.Parallel() // mostly waits
	const (
		clients     = 1200 // more than one batch of events
		pongTimeout = 4 * time.Second
	)
	s := serve(t, "-loops", "1", "-ping-interval", "500ms", "-pong-timeout", pongTimeout.String())
	// The first client must not time out before the last one has connected. So each answers its
	// pings until all are connected, and owes an answer from then on.
	var conns []*bufio.ReadWriter
	var all atomic.Bool
	var owe sync.WaitGroup
	for range clients {
		c := dialRaw(t, s.addr)
		conns = append(conns, c)
		owe.Go(func() {
			for nextFrame(t, c) == opPing && !all.Load() {
				writeAll(t, c, emptyPong)
			}
		})
	}
	all.Store(true)
	owe.Wait()
	s.stand()
	for _, c := range conns {
		writeAll(t, c, emptyPong)
	}
	s.goOnAfter(pongTimeout + pongTimeout/8)
	ended := 0
	for _, c := range conns {
		if nextFrame(t, c) != opPing {
			ended++
		}
	}
	if ended > 0 {
		t.Errorf("%d of %d clients were disconnected although their pongs had come", ended, clients)
	}
}

// The second half of a head that came in time is read before the deadline of the handshake counts.
func TestAHeadThatCameWhileTheServerWasStoppedIsAnswered(t *testing.T) {
	endToEnd(t)
	t.Parallel() // mostly waits
	const (
		clients = 1200
		timeout = 4 * time.Second
	)
	s := serve(t, "-loops", "1", "-handshake-timeout", timeout.String())
	var conns []*bufio.ReadWriter
	for range clients {
		c := connectRaw(t, s.addr)
		writeAll(t, c, upgradeHead[:20])
		conns = append(conns, c)
	}
	s.stand()
	for _, c := range conns {
		writeAll(t, c, upgradeHead[20:])
	}
	s.goOnAfter(timeout + timeout/8)
	for i, c := range conns {
		if line, err := c.ReadString('\n'); err != nil || !strings.Contains(line, " 101 ") {
			t.Fatalf("client %d of %d got %q and %v, want 101", i, clients, line, err)
		}
	}
}

// stand stops the server until its next tick is due. The server finds data that comes later after
// that tick.
func (s *server) stand() {
	s.fatal(syscall.Kill(s.cmd.Process.Pid, syscall.SIGSTOP))
	time.Sleep(time.Second)
}

// goOnAfter continues the stopped server after d.
func (s *server) goOnAfter(d time.Duration) {
	time.Sleep(d)
	s.fatal(syscall.Kill(s.cmd.Process.Pid, syscall.SIGCONT))
}

const (
	opPing    = 0x9
	emptyPong = "\x8a\x80mask"

	upgradeHead = "GET /ws HTTP/1.1\r\nHost: wsify\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

func connectRaw(t *testing.T, addr string) *bufio.ReadWriter {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return bufio.NewReadWriter(bufio.NewReaderSize(c, 512), bufio.NewWriterSize(c, 512))
}

// dialRaw opens a WebSocket connection that never answers by itself.
func dialRaw(t *testing.T, addr string) *bufio.ReadWriter {
	t.Helper()
	c := connectRaw(t, addr)
	writeAll(t, c, upgradeHead)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = c.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func writeAll(t *testing.T, c *bufio.ReadWriter, p string) {
	t.Helper()
	_, err := io.WriteString(c, p)
	if err == nil {
		err = c.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// nextFrame reads a short frame and returns its opcode.
func nextFrame(t *testing.T, c *bufio.ReadWriter) byte {
	t.Helper()
	var header [2]byte
	_, err := io.ReadFull(c, header[:])
	if err == nil {
		_, err = c.Discard(int(header[1] & 0x7f))
	}
	if err != nil {
		t.Fatal(fmt.Errorf("reading a frame: %w", err))
	}
	return header[0] & 0xf
}
