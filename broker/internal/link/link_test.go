package link

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// The same failure has the same text each time, so that it is logged once: net's text has the local
// port.
func TestAnErrorOfAConnectionHasNoPortOfOurs(t *testing.T) {
	read := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40001}, Addr: &net.TCPAddr{Port: 6379}, Err: syscall.ECONNRESET}
	if got := WithoutAddresses(read); got != error(syscall.ECONNRESET) {
		t.Errorf("WithoutAddresses(%q) = %q", read, got)
	}
	for _, err := range []error{nil, errors.New("busy"), &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}} {
		if got := WithoutAddresses(err); got != err {
			t.Errorf("WithoutAddresses(%v) = %v", err, got)
		}
	}
}
