package netpoll

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// siocOutQNSD asks how much of a socket's send buffer is not sent yet; linux/sockios.h.
const siocOutQNSD = 0x894B

// kept returns how many bytes sent on c the kernel keeps: all of them, and those it
// has not sent yet.
func kept(t *testing.T, c *Conn) (all, unsent int) {
	t.Helper()
	all, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	if err == nil {
		unsent, err = unix.IoctlGetInt(int(c.fd), siocOutQNSD)
	}
	if err != nil {
		t.Errorf("ioctl: %v", err)
	}
	return all, unsent
}

// The peer reads fast, so that the kernel gives it large buffers, and then stops.
func TestTheKernelKeepsLittleForAPeerThatDoesNotRead(t *testing.T) {
	p := newProbe(t, Config{MaxQueuedBytes: 64 << 20}, hooks{})
	client, id := p.connect()
	part := make([]byte, 64<<10)
	for range 256 {
		p.with(id, func(c *Conn) { c.Send(part) })
		drainTCP(t, client, len(part))
	}
	most := 0
	for range 256 {
		p.with(id, func(c *Conn) {
			c.Send(part)
			_, unsent := kept(t, c)
			most = max(most, unsent)
		})
	}
	p.with(id, func(c *Conn) {
		all, unsent := kept(t, c)
		t.Logf("the kernel keeps %d bytes, %d unsent, %d at most", all, unsent, most)
		if c.out == 0 {
			t.Error("the kernel took everything")
		}
	})
	if limit := unsentBytes + len(part); most > limit {
		t.Errorf("the kernel keeps %d unsent bytes, want at most %d", most, limit)
	}
}

func TestUnsentBytesAreLimitedWhereThereIsTCP(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	p.with(id, func(c *Conn) {
		if v, err := unix.GetsockoptInt(int(c.fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); v != unsentBytes || err != nil {
			t.Errorf("TCP_NOTSENT_LOWAT = %d, %v of an accepted connection, want %d", v, err, unsentBytes)
		}
	})
	addr := listen(t, p.g, unixPrefix+filepath.Join(t.TempDir(), "s"))
	client := dial(t, addr)
	p.with(await(t, p.opened, "Opened"), func(c *Conn) { c.Send([]byte("over a unix socket")) })
	wantRead(t, client, "over a unix socket")
}
