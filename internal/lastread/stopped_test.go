package lastread

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// childVariable turns the test binary into a program that reads under a deadline.
const childVariable = "LASTREAD_TEST_CHILD"

// childTimeout is how long the child waits for input.
const childTimeout = 300 * time.Millisecond

// TestChild is not a test but the program that is stopped. It reads in each way
// from the server whose address it is given, and prints the results.
func TestChild(t *testing.T) {
	addr := os.Getenv(childVariable)
	if addr == "" {
		t.Skip("TestStoppedProcessReadsWhatCameMeanwhile runs it")
	}
	read := func(wrap func(net.Conn) net.Conn) error {
		tcp, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer tcp.Close()
		c := wrap(tcp)
		_ = c.SetDeadline(time.Now().Add(childTimeout))
		_, err = c.Read(make([]byte, 16))
		return err
	}
	results := make(chan string)
	go func() {
		results <- fmt.Sprint("Conn: ", read(func(c net.Conn) net.Conn { return New(c, 0) }))
	}()
	go func() {
		outcome := make(chan error, 1)
		go func() { outcome <- read(func(c net.Conn) net.Conn { return withoutDeadline{c} }) }()
		_, ok := Receive(outcome, childTimeout)
		results <- fmt.Sprint("Receive: ", ok)
	}()
	fmt.Println(<-results)
	fmt.Println(<-results)
}

type withoutDeadline struct{ net.Conn }

func (withoutDeadline) SetDeadline(time.Time) error { return nil }

func TestStoppedProcessReadsWhatCameMeanwhile(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	child := testtool.StartChild(t, "TestChild", childVariable, listener.Addr().String(), time.Minute)
	var conns []net.Conn
	for range 2 {
		c, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	child.Pause()
	for _, c := range conns {
		if _, err := io.WriteString(c, "in time"); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(childTimeout + 2*lateness) // not for synchronisation: the deadlines have to pass
	child.Resume()
	text := child.Rest()
	for _, want := range []string{"Conn: <nil>", "Receive: true"} {
		if !strings.Contains(text, want) {
			t.Errorf("the stopped process says:\n%s\nwant %q", text, want)
		}
	}
}

// awaitReadable returns when there is something to read.
func awaitReadable(t *testing.T, raw syscall.RawConn) {
	t.Helper()
	err := raw.Control(func(fd uintptr) {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
