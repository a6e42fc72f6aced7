package session

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"wsify/internal/testtool"

	"golang.org/x/sys/unix"
)

// unlessRace returns n, or less with -short or under the race detector, which makes
// everything ten times slower.
func unlessRace(n, less int) int {
	if raceEnabled || testing.Short() {
		return less
	}
	return n
}

// A raw client is a bare socket with blocking system calls, for tests that need many
// connections at once or in sequence. Its methods return errors and may be called from
// any goroutine.
type rawClient struct{ fd int }

// anyAddr is the listen address of servers that raw clients connect to.
const anyAddr = "0.0.0.0:0"

// dialRaw connects to 127.0.0.N, N from 1 to 254, at the server's port. Each N has its
// own set of client ports. Tests with many connections need several sets.
func dialRaw(addr net.Addr, n int) (rawClient, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return rawClient{-1}, err
	}
	limit := unix.NsecToTimeval(int64(patience))
	to := &unix.SockaddrInet4{Port: addr.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, byte(n)}}
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	for err == unix.EINTR { // the connection attempt continues; call again to wait for it (connect(2))
		if err = unix.Connect(fd, to); err == unix.EISCONN {
			err = nil
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return rawClient{-1}, os.NewSyscallError("connect", err)
	}
	return rawClient{fd}, nil
}

// write sends all of raw.
func (c rawClient) write(raw string) error {
	p := []byte(raw)
	for len(p) > 0 {
		n, err := unix.SendmsgN(c.fd, p, nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("send", err)
		}
		p = p[n:]
	}
	return nil
}

// readUntil reads until the input ends with end, and returns all of it.
func (c rawClient) readUntil(end string) (string, error) {
	var got []byte
	buf := make([]byte, 4<<10)
	for !strings.HasSuffix(string(got), end) {
		n, err := unix.Read(c.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return string(got), fmt.Errorf("read %d, %v after %q; want %q", n, err, got, end)
		}
		got = append(got, buf[:n]...)
	}
	return string(got), nil
}

// readEnd reads until the end of the stream. A reset counts as the end.
func (c rawClient) readEnd() error {
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.Read(c.fd, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.ECONNRESET, err == nil && n == 0:
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		}
	}
}

// upgrade does the handshake.
func (c rawClient) upgrade() error {
	if err := c.write(upgradeHead("/ws")); err != nil {
		return err
	}
	got, err := c.readUntil("\r\n\r\n")
	if err == nil && !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		err = fmt.Errorf("refused: %q", got)
	}
	return err
}

func (c rawClient) closeWrite() { _ = unix.Shutdown(c.fd, unix.SHUT_WR) }
func (c rawClient) close()      { _ = unix.Close(c.fd) }

// abort makes the server see the next close as a reset.
func (c rawClient) abort() {
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// reset closes the socket so that the server sees a reset.
func (c rawClient) reset() {
	c.abort()
	c.close()
}

// inParallel runs fn for 0 to n-1 on several goroutines and reports the first errors.
func inParallel(t testing.TB, workers, n int, fn func(worker, i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				if err := fn(w, i); err != nil {
					errs <- fmt.Errorf("%d of %d: %w", i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// idle waits until only the given connections, subscriptions and channels are left.
func idle(t testing.TB, srv *Server, connections, channels, subscriptions int64) {
	t.Helper()
	testtool.Until(t, fmt.Sprintf("%d connections, %d channels, %d subscriptions and nothing queued", connections, channels, subscriptions), func() bool {
		st := srv.Stats()
		return st.Net.Connections == connections && st.Net.QueuedBytes == 0 && st.Channels == channels && st.Subscriptions == subscriptions
	})
}
