package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// program is the echo server with these arguments.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// run starts the echo server on a free port, reads from its log where that is, and
// ends it with the test. It has to exit with 0.
func run(t *testing.T, args ...string) (addr string) {
	t.Helper()
	cmd := program(append([]string{"-listen-addr", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	t.Cleanup(func() { stop(t, cmd, log) })
	line, err := log.ReadString('\n')
	found := regexp.MustCompile(`msg="echo is listening" addr=(\S+)`).FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("first line of the log: %q, %v", line, err)
	}
	return found[1]
}

func stop(t *testing.T, cmd *exec.Cmd, log io.Reader) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	rest, _ := io.ReadAll(log)
	if err := cmd.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("the program ended with %v and logged %q", err, rest)
	}
}

// A client is a connection to the echo server. Frames are written and read by
// gobwas/ws. Each read and write has a deadline.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, t, bufio.NewReader(conn)}
}

// connect upgrades on a path.
func connect(t *testing.T, addr, path string) *client {
	t.Helper()
	c := dial(t, addr)
	c.write(head(path))
	if res := c.response(); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101", res.StatusCode)
	}
	return c
}

func head(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

func (c *client) write(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) response() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// masked is a client's frame.
func masked(t *testing.T, f ws.Frame) string {
	t.Helper()
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (c *client) send(f ws.Frame) {
	c.t.Helper()
	c.write(masked(c.t, f))
}

// expect reads one frame and compares it.
func (c *client) expect(op ws.OpCode, payload string) {
	c.t.Helper()
	h, err := ws.ReadHeader(c.r)
	if want := (ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}); err != nil || h != want {
		c.t.Fatalf("got %+v, %v; want %+v", h, err, want)
	}
	got := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != payload {
		c.t.Fatalf("got %.100q, %v; want %.100q", got, err, payload)
	}
}

// expectClose reads a Close frame with this code, then the end of the stream.
func (c *client) expectClose(code ws.StatusCode) {
	c.t.Helper()
	c.expect(ws.OpClose, strings.TrimSuffix(string(ws.NewCloseFrameBody(code, "")), "\x00\x00"))
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("got byte %#x, %v; want the end of the stream", b, err)
	}
	_ = c.Close()
}
