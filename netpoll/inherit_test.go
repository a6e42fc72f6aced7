package netpoll

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// passed makes a duplicate of a listener's descriptor, as a service manager passes it to
// a program, and closes the listener.
func passed(t *testing.T, ln interface {
	File() (*os.File, error)
	Close() error
}) (fd int) {
	t.Helper()
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err = unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Close(), ln.Close()
	return fd
}

func TestAnInheritedListenerIsAcceptedOnByEveryLoop(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	want := ln.Addr().String()
	g := start(t, Config{Loops: 3}, echo())
	addr := listen(t, g, fmt.Sprintf("fd://%d", passed(t, ln.(*net.TCPListener))))
	if addr.String() != want {
		t.Errorf("the address is %s, want %s", addr, want)
	}
	if n := len(g.listeners[0].acceptors); n != 3 {
		t.Errorf("%d loops accept, want 3", n)
	}
	c := dial(t, addr)
	write(t, c, "hello")
	wantRead(t, c, "hello")
	before := len(testtool.Descriptors())
	g.StopListening()
	if closed := before - len(testtool.Descriptors()); closed != 2 {
		t.Errorf("%d descriptors were closed, want the listener and the reserve", closed)
	}
}

func TestAnInheritedUnixSocketIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	g := start(t, Config{}, echo())
	c := dial(t, listen(t, g, fmt.Sprintf("fd://%d", passed(t, ln.(*net.UnixListener)))))
	write(t, c, "hello")
	wantRead(t, c, "hello")
	g.StopListening()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("after StopListening: %v; the socket belongs to the one that opened it", err)
	}
}

func TestPackageNetListensOnAnInheritedSocketToo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenListener(fmt.Sprintf("fd://%d", passed(t, ln.(*net.TCPListener))), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_ = dial(t, got.Addr())
	if err := got.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", got.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a connection was accepted after Close")
	}
}

// What is no listening socket may be in use by another part of this process.
func TestADescriptorThatIsNoListenerIsRefusedAndStaysOpen(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	connected, other := socketPair(t)
	defer unix.Close(other)
	defer unix.Close(connected)
	if _, err := unix.FcntlInt(uintptr(connected), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	datagrams, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(datagrams)
	g := start(t, Config{}, echo())
	listen(t, g, "127.0.0.1:0")
	const notPassed = "no descriptor of this number was passed to this process"
	for _, c := range []struct{ fd, want string }{
		{"2", "this is not the number of an inherited descriptor, which is 3 or higher"},
		{"-1", "this is not the number of an inherited descriptor, which is 3 or higher"},
		{"web", "this is not the number of an inherited descriptor, which is 3 or higher"},
		{"", "this is not the number of an inherited descriptor, which is 3 or higher"},
		{"999999", notPassed},
		{fmt.Sprint(g.listeners[0].fd), notPassed}, // a listener, but the process's own
		{fmt.Sprint(other), notPassed},
		{fmt.Sprint(null), "socket operation on non-socket"},
		{fmt.Sprint(connected), "this descriptor is not a listening stream socket"},
		{fmt.Sprint(datagrams), "this descriptor is not a listening stream socket"},
	} {
		before := len(testtool.Descriptors())
		_, err := g.Listen("fd://" + c.fd)
		if want := "listen on fd://" + c.fd + ": " + c.want; err == nil || err.Error() != want {
			t.Errorf("Listen = %v, want %s", err, want)
		}
		if after := len(testtool.Descriptors()); after != before {
			t.Errorf("fd://%s: %d descriptors before, %d after", c.fd, before, after)
		}
	}
}
