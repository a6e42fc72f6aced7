package auth

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Without a descriptor nobody is denied or ended: the call waits for one.
func TestADialWithoutADescriptorWaitsForOne(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*descriptorPause, func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := (&dialer{addr: ln.Addr().String()}).connect(ctx)
	if err != nil {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		t.Fatal(err)
	}
	_ = c.Close()
}
