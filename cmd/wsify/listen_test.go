//go:build linux

package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEachFurtherListenAddrAddsToTheOnesBefore(t *testing.T) {
	file := write(t, "listen-addr :8,:9\n")
	for _, c := range []struct {
		args, env []string
		want      []string
	}{
		{nil, nil, []string{":3000"}},
		{[]string{"-listen-addr", ":1"}, nil, []string{":1"}},
		{[]string{"-listen-addr", ":1", "--listen-addr=:2, unix:/s", "-listen-addr", "[::1]:3"}, nil, []string{":1", ":2", "unix:/s", "[::1]:3"}},
		{nil, []string{"WSIFY_LISTEN_ADDR=:4,:5"}, []string{":4", ":5"}},
		{[]string{"-config", file}, nil, []string{":8", ":9"}},
		{[]string{"-config", file, "-listen-addr", ":1"}, []string{"WSIFY_LISTEN_ADDR=:4"}, []string{":1"}}, // one source, never several
	} {
		got := start(c.args, c.env)
		if got.served == nil || !slices.Equal(got.served.ListenAddrs, c.want) || strings.Contains(got.stderr, "more than once") {
			t.Errorf("%q %q: %+v; want %q without a warning", c.args, c.env, got, c.want)
		}
	}
	if got := start([]string{"-listen-addr", ":1", "-listen-addr", ":2,"}, nil); got.code != 2 || !strings.Contains(got.stderr, `-listen-addr: invalid value ":2,": a part of the list is empty`) {
		t.Errorf("%+v", got)
	}
	if got := start([]string{"-listen-addr", ":1", "-listen-addr", "127.0.0.1:1"}, nil); got.code != 1 || got.stderr != "wsify: -listen-addr: 127.0.0.1:1 is taken by -listen-addr :1\n" {
		t.Errorf("%+v", got)
	}
}

// TestSocketsThatSystemdHasOpened runs the real program with descriptors, as systemd does.
func TestSocketsThatSystemdHasOpened(t *testing.T) {
	dir := t.TempDir()
	web, admin := listenIn(t, "tcp", "127.0.0.1:0"), listenIn(t, "tcp", "127.0.0.1:0")
	local := listenIn(t, "unix", filepath.Join(dir, "s"))
	passed := func(args ...string) *exec.Cmd {
		cmd := command(t)
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, args...)
		cmd.Env = append(cmd.Env, "LISTEN_FDS=3", "LISTEN_FDNAMES=wsify.socket:wsify.socket:admin")
		for _, ln := range []net.Listener{web, local, admin} {
			f, err := ln.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		return cmd
	}

	cmd := passed("-listen-addr", "fd://wsify.socket", "-admin-addr", "fd://admin")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if addr, want := awaitListening(t, bufio.NewScanner(stderr)), web.Addr().String()+","+local.Addr().String(); addr != want {
		t.Errorf("the log says that it listens on %s, want %s", addr, want)
	}
	go io.Copy(io.Discard, stderr)
	for addr, want := range map[net.Addr]string{web.Addr(): "426 ", local.Addr(): "426 ", admin.Addr(): "404 "} {
		if got := statusOf(t, addr); !strings.HasPrefix(got, want) {
			t.Errorf("GET /ws on %s: %s, want %s", addr, got, want)
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "s")); err != nil {
		t.Errorf("systemd's socket is gone: %v", err)
	}

	for _, c := range []struct{ args, want string }{
		{"-listen-addr fd://web", "wsify: -listen-addr: listen on fd://web: the service manager has not passed a socket of this name; it has passed admin, wsify.socket\n"},
		{"-listen-addr fd://3 -listen-addr fd://wsify.socket", "wsify: -listen-addr: fd://3 is taken by -listen-addr fd://3\n"},
		{"-listen-addr fd://admin -admin-addr fd://5", "wsify: -admin-addr: fd://5 is taken by -listen-addr fd://5\n"},
		{"-admin-addr fd://wsify.socket", "wsify: -admin-addr: fd://wsify.socket is the name of 2 sockets; it has to be one\n"},
		{"-listen-addr fd://999", "wsify: listen on fd://999: no descriptor of this number was passed to this process\n"},
	} {
		said, err := passed(append(strings.Fields(c.args), "-log-level", "error")...).CombinedOutput()
		if string(said) != c.want || err == nil {
			t.Errorf("%s: %v, %q; want %q", c.args, err, said, c.want)
		}
	}
}

// TestASocketThatNobodyHasPassed: without one, 3 is a descriptor that Go has opened, and the
// listener of another address has one of the next numbers.
func TestASocketThatNobodyHasPassed(t *testing.T) {
	for number := 3; number < 24; number++ {
		if flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			continue // whoever has started the tests has passed it to them
		}
		addr := "fd://" + strconv.Itoa(number)
		said, err := command(t, "-admin-addr", "off", "-listen-addr", "127.0.0.1:0,"+addr, "-log-level", "error").CombinedOutput()
		if want := "wsify: listen on " + addr + ": no descriptor of this number was passed to this process\n"; string(said) != want || err == nil {
			t.Errorf("%s: %v, %q; want %q", addr, err, said, want)
		}
	}
}

// listenIn listens in this process, as systemd does.
func listenIn(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// statusOf returns the status of GET /ws.
func statusOf(t *testing.T, addr net.Addr) string {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimPrefix(line, "HTTP/1.1 ")
}
