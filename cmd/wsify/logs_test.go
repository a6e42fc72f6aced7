//go:build linux

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logged is the real program with its stderr in a pipe, which the test may stop reading.
type logged struct {
	t              *testing.T
	cmd            *exec.Cmd
	addr           string
	reader, writer *os.File       // of stderr
	lines          *bufio.Scanner // of reader; see awaitLog
	ended          chan error
}

func startLogged(t *testing.T, args ...string) *logged {
	t.Helper()
	return startLoggedIn(t, nil, args...)
}

// startLoggedIn is startLogged with more variables in the environment.
func startLoggedIn(t *testing.T, env []string, args ...string) *logged {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &logged{t: t, cmd: command(t, append(args, "-listen-addr", "127.0.0.1:0", "-loops", "1")...), reader: reader, writer: writer, ended: make(chan error, 1)}
	l.cmd.Stderr = writer
	l.cmd.Env = append(l.cmd.Env, env...)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { l.ended <- l.cmd.Wait() }()
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill()
		_, _ = reader.Close(), writer.Close()
	})
	l.addr = awaitListening(t, bufio.NewScanner(reader))
	return l
}

// stopReading fills the pipe, and does not read it.
func (l *logged) stopReading() {
	l.t.Helper()
	fd := int(l.writer.Fd())
	for full := make([]byte, 1); ; { // in a loop, because the server may log at the same time
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0); n == 0 {
			return
		} else if err != nil {
			l.t.Fatal(err)
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			l.t.Fatal(err)
		}
		for err := error(nil); err == nil; {
			_, err = unix.Write(fd, full)
		}
		if err := unix.SetNonblock(fd, false); err != nil {
			l.t.Fatal(err)
		}
	}
}

// endReading closes the reading end of the pipe.
func (l *logged) endReading() {
	_, _ = l.writer.Close(), l.reader.Close()
}

func (l *logged) signal(s syscall.Signal) {
	l.t.Helper()
	if err := l.cmd.Process.Signal(s); err != nil {
		l.t.Fatal(err)
	}
}

// wantEnd waits for the end of the program and checks its exit code.
func (l *logged) wantEnd(code int) {
	l.t.Helper()
	select {
	case <-l.ended:
	case <-time.After(patience):
		l.t.Fatal("the program does not end")
	}
	if got := l.cmd.ProcessState.ExitCode(); got != code {
		l.t.Errorf("exit code %d (%v), want %d", got, l.cmd.ProcessState, code)
	}
}

// client is a WebSocket client of the real program.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (l *logged) connect() *client {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close() })
	c := &client{conn, l.t, bufio.NewReader(conn)}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c.write(upgrade)
	for line := ""; line != "\r\n"; {
		if line, err = c.r.ReadString('\n'); err != nil {
			l.t.Fatalf("no answer to an upgrade: %v", err)
		}
	}
	return c
}

func (c *client) write(p string) {
	c.t.Helper()
	if _, err := io.WriteString(c, p); err != nil {
		c.t.Fatal(err)
	}
}

// want reads exactly these bytes.
func (c *client) want(what, p string) {
	c.t.Helper()
	got := make([]byte, len(p))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != p {
		c.t.Fatalf("%s: got %q, %v; want %q", what, got, err, p)
	}
}

// upgrade is the request of a client.
const upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

// Frames of RFC 6455; those of a client are masked, here with zeros.
const (
	pingFrame     = "\x89\x80\x00\x00\x00\x00"
	pongFrame     = "\x8a\x00"
	brokenFrame   = "\xff\x80\x00\x00\x00\x00"
	closedWith    = "\x88"
	restartCode   = "\x03\xf4" // 1012
	maskedRestart = "\x88\x82\x00\x00\x00\x00" + restartCode
)

// wantRestart reads a Close frame with 1012 and answers it.
func (c *client) wantRestart() {
	c.t.Helper()
	c.want("the Close frame", closedWith)
	_, _ = c.r.ReadByte()
	c.want("its code", restartCode)
	c.write(maskedRestart)
}

func TestTheShutdownDoesNotNeedAReaderOfTheLog(t *testing.T) {
	t.Parallel() // mostly waits
	for name, reader := range map[string]func(*logged){"ended": (*logged).endReading, "stopped": (*logged).stopReading} {
		t.Run(name, func(t *testing.T) {
			l := startLogged(t)
			c := l.connect()
			reader(l)
			l.signal(syscall.SIGTERM)
			c.wantRestart()
			l.wantEnd(exitOK)
		})
	}
}

func TestASecondSignalDoesNotNeedAReaderOfTheLog(t *testing.T) {
	l := startLogged(t, "-drain-timeout", "1h")
	c := l.connect()
	l.stopReading()
	l.signal(syscall.SIGTERM)
	c.want("the Close frame", closedWith)
	l.signal(syscall.SIGINT)
	l.wantEnd(exitFailure)
}

// At level debug, a loop logs every mistake of a client: more lines than the pipe and the queue
// hold.
func TestALoopDoesNotWaitForTheReaderOfTheLog(t *testing.T) {
	t.Parallel() // mostly waits
	l := startLogged(t, "-log-level", "debug")
	c := l.connect()
	l.stopReading()
	for range 20 {
		broken := l.connect()
		broken.write(brokenFrame)
		broken.want("the Close frame", closedWith)
	}
	c.write(pingFrame)
	c.want("a pong", pongFrame)
	l.signal(syscall.SIGTERM)
	c.wantRestart()
	l.wantEnd(exitOK)
}

// Go's runtime, not the log, writes the trace of a crash, to descriptor 2.
func TestACrashDoesNotNeedAReaderOfTheLog(t *testing.T) {
	l := startLogged(t)
	l.stopReading()
	l.signal(syscall.SIGQUIT)
	l.wantEnd(2)
}

func TestAComplaintDoesNotNeedAReader(t *testing.T) {
	t.Parallel() // mostly waits
	for args, code := range map[string]int{"-broker-driver nope": exitFailure, "-no-such-flag": exitUsage} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		l := &logged{t: t, cmd: command(t, strings.Fields(args)...), reader: reader, writer: writer, ended: make(chan error, 1)}
		l.cmd.Stderr = writer
		l.stopReading()
		if err := l.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { l.ended <- l.cmd.Wait() }()
		l.wantEnd(code)
		_, _ = writer.Close(), reader.Close()
	}
}

func TestAnswersToAReaderThatHasEnded(t *testing.T) {
	for _, args := range []string{"-help", "-version", "-print-config", "-check-config"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = reader.Close()
		var complaints strings.Builder
		cmd := command(t, args)
		cmd.Stdout, cmd.Stderr = writer, &complaints
		err = cmd.Run()
		_ = writer.Close()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != exitOK || complaints.Len() > 0 {
			t.Errorf("wsify %s | true: exit %d (%v), stderr %q", args, code, cmd.ProcessState, &complaints)
		}
	}
}

func TestAnAnswerThatCannotBeWrittenIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range []string{"-help", "-version", "-print-config", "-check-config"} {
		var complaints strings.Builder
		cmd := command(t, args)
		cmd.Stdout, cmd.Stderr = full, &complaints
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(complaints.String(), "no space left on device") {
			t.Errorf("wsify %s > /dev/full: exit %d, stderr %q", args, code, &complaints)
		}
	}
}
