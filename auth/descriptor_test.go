package auth

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// For lack of a descriptor, no call is denied or ended: it waits for one, and reports if there was
// none all the time.
func TestADialWithoutADescriptorWaitsForOne(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := &dialer{addr: ln.Addr().String()}
	restore := noDescriptors(t)
	time.AfterFunc(3*descriptorPause, restore)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := d.connect(ctx)
	if err != nil {
		restore()
		t.Fatal(err)
	}
	_ = c.Close()
	restore = noDescriptors(t)
	failed := newLink(d).open(time.Now().Add(2*descriptorPause + descriptorPause/2))
	lookup := &net.DNSError{Err: "no such host", IsNotFound: true} // the resolver could not read /etc/hosts
	blamed := starved(lookup)
	restore()
	if got := ResultOf(Down, failed); got != ResultNoDescriptor {
		t.Errorf("a dial that never had a descriptor: %v (%v), want no_descriptor", got, failed)
	}
	if !blamed || starved(lookup) {
		t.Errorf("a lookup that failed without a descriptor is blamed on that: %v, one with descriptors: %v", blamed, starved(lookup))
	}
}

// noDescriptors keeps this process from opening descriptors until restore is called.
func noDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
}
