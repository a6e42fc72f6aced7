package test

import (
	"fmt"
	"net"
	"testing"
	"wsify/internal/testtool"
)

// freePort returns a port that was just free on every address of localhost.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
		_ = first.Close()
		if second != nil {
			_ = second.Close()
		}
		if busy := err != nil && haveIPv6(); !busy {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func haveIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// awaitPort waits until something listens on a port of localhost.
func awaitPort(t *testing.T, port int) {
	t.Helper()
	awaitListener(t, fmt.Sprintf("localhost:%d", port))
}

// awaitListener waits until something listens on an address.
func awaitListener(t *testing.T, addr string) {
	t.Helper()
	testtool.Until(t, "something listens on "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
