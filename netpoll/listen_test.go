package netpoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

func TestEveryAddressFormIsAcceptedOn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for _, tc := range []struct{ name, listen, dial string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "[::1]"},
		{"dual stack, over IPv4", ":0", "127.0.0.1"},
		{"dual stack, over IPv6", ":0", "[::1]"},
		{"unix socket", unixPrefix + socket, ""},
		{"abstract unix socket", unixPrefix + "@wsify-netpoll-test-" + fmt.Sprint(os.Getpid()), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.HasPrefix(tc.dial, "[") && !hasIPv6() {
				t.Skip("this machine has no IPv6")
			}
			g := start(t, Config{}, echo())
			addr := listen(t, g, tc.listen)
			if tcp, ok := addr.(*net.TCPAddr); ok {
				target, err := net.ResolveTCPAddr("tcp", fmt.Sprintf("%s:%d", tc.dial, tcp.Port))
				if err != nil {
					t.Fatal(err)
				}
				addr = target
			}
			c := dial(t, addr)
			write(t, c, "hello")
			wantRead(t, c, "hello")
		})
	}
}

func hasIPv6() bool {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		_ = ln.Close()
	}
	return err == nil
}

func TestRemoteAddrIsThePeersOwnAddress(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	p.addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: listen(t, p.g, ":0").(*net.TCPAddr).Port}
	client, id := p.connect() // IPv4 over a dual-stack listener: unmapped
	p.with(id, func(c *Conn) {
		if got := c.RemoteAddr().String(); got != client.LocalAddr().String() {
			t.Errorf("RemoteAddr() = %s, want %s", got, client.LocalAddr())
		}
	})
	_, id = p.adopt()
	p.with(id, func(c *Conn) {
		if got := c.RemoteAddr(); got.IsValid() {
			t.Errorf("RemoteAddr() of a unix socket = %s, want none", got)
		}
	})
}

func TestAcceptedConnectionsDoNotDelaySmallWritesAndAreNotInherited(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	p.with(id, func(c *Conn) {
		if v, err := unix.GetsockoptInt(int(c.fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 || err != nil {
			t.Errorf("TCP_NODELAY = %d, %v, want 1", v, err)
		}
		if v, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); v&unix.FD_CLOEXEC == 0 || err != nil {
			t.Errorf("F_GETFD = %#x, %v, want FD_CLOEXEC", v, err)
		}
		if v, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFL, 0); v&unix.O_NONBLOCK == 0 || err != nil {
			t.Errorf("F_GETFL = %#x, %v, want O_NONBLOCK", v, err)
		}
	})
}

func TestAnAddressInUseIsSaidInOneClearLine(t *testing.T) {
	g := start(t, Config{}, echo())
	addr := listen(t, g, "127.0.0.1:0").String()
	_, err := g.Listen(addr)
	if want := "listen on " + addr + ": address already in use"; err == nil || err.Error() != want {
		t.Fatalf("Listen = %v, want %s", err, want)
	}
}

func TestABadAddressIsAnErrorThatNamesIt(t *testing.T) {
	g := start(t, Config{}, echo())
	for _, addr := range []string{"nonsense", "127.0.0.1:99999999", unixPrefix + filepath.Join(t.TempDir(), "no", "such", "directory")} {
		before := len(testtool.Descriptors())
		_, err := g.Listen(addr)
		if err == nil || !strings.HasPrefix(err.Error(), "listen on "+addr+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Listen(%q) = %v, want one line that starts with the address", addr, err)
		}
		if after := len(testtool.Descriptors()); after != before {
			t.Errorf("Listen(%q) left %d descriptors", addr, after-before)
		}
	}
}

func TestAUnixSocketIsRemovedAtStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	g := start(t, Config{}, echo())
	listen(t, g, unixPrefix+path)
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the socket is not there while listening: %v", err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Fatalf("after Stop: Lstat = %v, want that it does not exist", err)
	}
}

// staleSocket returns the path of a unix socket that a killed process has left behind.
func staleSocket(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
	return path
}

func TestAStaleUnixSocketIsReplaced(t *testing.T) {
	path := staleSocket(t)
	g := start(t, Config{}, echo())
	c := dial(t, listen(t, g, unixPrefix+path))
	write(t, c, "hello")
	wantRead(t, c, "hello")
}

func TestALiveUnixSocketIsRefused(t *testing.T) {
	g := start(t, Config{}, echo())
	t.Run("that answers", func(t *testing.T) {
		addr := unixPrefix + filepath.Join(t.TempDir(), "s")
		listen(t, g, addr)
		wantInUse(t, g, addr)
	})
	t.Run("whose queue is full", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		fd := bindUnix(t, path, unix.SOCK_STREAM)
		if err := unix.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		for full := false; !full; { // nothing accepts
			c, err := net.Dial("unix", path)
			if full = err != nil; !full {
				t.Cleanup(func() { _ = c.Close() })
			}
		}
		wantInUse(t, g, unixPrefix+path)
	})
	t.Run("of another type", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		bindUnix(t, path, unix.SOCK_DGRAM)
		wantInUse(t, g, unixPrefix+path)
	})
}

func bindUnix(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func wantInUse(t *testing.T, g *Group, addr string) {
	t.Helper()
	_, err := g.Listen(addr)
	if want := "listen on " + addr + ": address already in use"; err == nil || err.Error() != want {
		t.Fatalf("Listen = %v, want %s", err, want)
	}
	if _, err := os.Lstat(strings.TrimPrefix(addr, unixPrefix)); err != nil {
		t.Fatalf("the live socket was removed: %v", err)
	}
}

func TestAFileThatIsNoSocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantInUse(t, start(t, Config{}, echo()), unixPrefix+path)
}

func TestAfterStopListeningNobodyIsAcceptedAndTheOthersStay(t *testing.T) {
	p := newProbe(t, Config{}, hooks{data: func(c *Conn, b []byte) { c.Send(b) }})
	client, _ := p.connect()
	p.g.StopListening()
	if c, err := net.Dial("tcp", p.addr.String()); err == nil {
		_ = c.Close()
		t.Fatal("a connection was accepted after StopListening")
	}
	write(t, client, "still here")
	wantRead(t, client, "still here")
	p.g.StopListening() // the second call does nothing
}

// With several loops, none accepts any more, and the socket's path is removed.
func TestStopListeningStopsEveryLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	g := start(t, Config{Loops: 3}, echo())
	var addrs []net.Addr
	for _, addr := range []string{"127.0.0.1:0", unixPrefix + path} {
		addrs = append(addrs, listen(t, g, addr))
	}
	before := len(testtool.Descriptors())
	g.StopListening()
	if closed := before - len(testtool.Descriptors()); closed != 3 {
		t.Errorf("%d descriptors were closed, want two listeners and the reserve", closed)
	}
	for _, addr := range addrs {
		if c, err := net.Dial(addr.Network(), addr.String()); err == nil {
			_ = c.Close()
			t.Errorf("a connection to %s was accepted", addr)
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("Lstat = %v, want that the path does not exist", err)
	}
	again := dial(t, listen(t, g, "127.0.0.1:0"))
	write(t, again, "hello")
	wantRead(t, again, "hello")
}

// refusing is a poller with no room for another listener.
type refusing struct{ poller }

func (refusing) add(int, uint32, func(uint32)) error { return unix.ENOSPC }

func TestAListenerThatNotEveryLoopCanTakeIsNone(t *testing.T) {
	g := start(t, Config{Loops: 3}, echo())
	p := g.Loop(1).poller
	on(t, g.Loop(1), func() { g.Loop(1).poller = refusing{p} })
	path := filepath.Join(t.TempDir(), "s")
	g.reserve.fill()
	before := len(testtool.Descriptors())
	if _, err := g.Listen(unixPrefix + path); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Listen = %v, want the poller's error", err)
	}
	if n := len(testtool.Descriptors()); n != before {
		t.Errorf("%d descriptors were left", n-before)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("Lstat = %v, want that the path does not exist", err)
	}
	on(t, g.Loop(1), func() { g.Loop(1).poller = p })
	c := dial(t, listen(t, g, unixPrefix+path))
	write(t, c, "hello")
	wantRead(t, c, "hello")
}

func TestListenAfterStopIsRefusedAndLeavesNothing(t *testing.T) {
	g := start(t, Config{}, echo())
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	before := len(testtool.Descriptors())
	if _, err := g.Listen("127.0.0.1:0"); err == nil || err.Error() != "listen on 127.0.0.1:0: stopped" {
		t.Errorf("Listen after Stop = %v", err)
	}
	g.StopListening() // must not wait for a loop that has ended
	if after := len(testtool.Descriptors()); after != before {
		t.Errorf("%d descriptors were left", after-before)
	}
}

func TestAListenerShutDownFromOutsideIsReportedAndDoesNotSpin(t *testing.T) {
	p := newProbe(t, Config{}, hooks{data: func(c *Conn, b []byte) { c.Send(b) }})
	client, _ := p.connect()
	a := p.g.listeners[0].acceptors[0]
	on(t, p.l, func() { _ = unix.Shutdown(a.listener.fd, unix.SHUT_RD) }) // as "ss -K" does
	err := await(t, p.g.Failed(), "Failed")
	if want := "accept on " + p.addr.String() + ": invalid argument"; err.Error() != want {
		t.Errorf("Failed yields %v, want %s", err, want)
	}
	on(t, p.l, func() {
		if a.on || registered(t, p.l) != 3 { // wheel, eventfd, connection
			t.Error("the listener is still registered: it would be reported without end")
		}
	})
	write(t, client, "still here")
	wantRead(t, client, "still here")
}

// OpenListener takes the addresses that Listen takes. It also replaces a stale unix
// socket, and removes its own.
func TestAListenerForPackageNetTakesTheSameAddresses(t *testing.T) {
	path := staleSocket(t)
	for _, addr := range []string{"127.0.0.1:0", ":0", unixPrefix + path} {
		ln, err := OpenListener(addr, 0o600)
		if err != nil {
			t.Errorf("OpenListener(%s): %v", addr, err)
			continue
		}
		_ = dial(t, ln.Addr())
		if err := ln.Close(); err != nil {
			t.Errorf("Close of %s: %v", addr, err)
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v, want no socket", err)
	}
	busy := listen(t, start(t, Config{}, echo()), "127.0.0.1:0").String()
	if _, err := OpenListener(busy, 0o600); err == nil || err.Error() != "listen on "+busy+": address already in use" {
		t.Errorf("OpenListener(%s) = %v, want that it is in use", busy, err)
	}
}

func TestAUnixSocketHasItsModeFromTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	before := unix.Umask(0o022)
	defer unix.Umask(before)
	ln, err := OpenListener("unix:"+path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("mode %v, %v; want 0666", info, err)
	}
	if mask := unix.Umask(0o022); mask != 0o022 {
		t.Errorf("the umask is %04o afterwards, want 0022", mask)
	}
}
