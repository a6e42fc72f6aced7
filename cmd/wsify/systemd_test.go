//go:build linux

package main

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheServiceManagerIsTold runs the real program as systemd would, which hears of each
// step when it is so.
func TestTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	hears := func() string {
		t.Helper()
		_ = manager.SetReadDeadline(time.Now().Add(patience))
		p := make([]byte, 4096)
		n, err := manager.Read(p)
		if err != nil {
			t.Fatalf("the manager hears nothing: %v", err)
		}
		return string(p[:n])
	}
	l := startLogged(t, "-drain-timeout", "20s")
	_ = l.cmd.Process.Kill() // only its address is wanted, which is free again
	<-l.ended

	cmd := command(t, "-listen-addr", l.addr, "-drain-timeout", "20s")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=20000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := hears(); got != "READY=1" {
		t.Errorf("first: %q", got)
	}
	if c, err := net.Dial("tcp", l.addr); err != nil {
		t.Errorf("a server that is ready: %v", err)
	} else {
		_ = c.Close()
	}
	for range 3 {
		if got := hears(); got != "WATCHDOG=1" {
			t.Errorf("while it works: %q", got)
		}
	}
	next := func(want string) {
		t.Helper()
		for {
			if got := hears(); got != "WATCHDOG=1" {
				if !regexp.MustCompile("^" + want + "$").MatchString(got) {
					t.Errorf("heard %q, want %s", got, strings.ReplaceAll(want, "\n", " "))
				}
				return
			}
		}
	}
	_ = cmd.Process.Signal(syscall.SIGHUP)
	next("RELOADING=1\nMONOTONIC_USEC=[0-9]+\n?")
	next("READY=1")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	next("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}
