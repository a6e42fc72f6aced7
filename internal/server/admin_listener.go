package server

import (
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxAdmin is how many connections the admin listener has at once; further ones
	// are closed. Each has a goroutine and buffers.
	maxAdmin = 64
	// adminReserve is how many descriptors are kept for it: when clients have taken
	// all others, an orchestrator that gets no answer would end a server that works.
	adminReserve = 4
)

// adminListener bounds how many connections there are, and has a few descriptors in
// reserve. Its methods may be called from any goroutine.
type adminListener struct {
	net.Listener

	mu      sync.Mutex // a leaf lock
	open    int        // connections; guarded by mu
	reserve []int      // descriptors to give up; guarded by mu
	closed  bool       // guarded by mu
}

func newAdminListener(ln net.Listener) *adminListener {
	n := &adminListener{Listener: ln}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refillLocked()
	return n
}

// Accept implements net.Listener.
func (n *adminListener) Accept() (net.Conn, error) {
	for {
		c, err := n.Listener.Accept()
		switch {
		case err == nil && n.enter():
			return &adminConn{Conn: c, listener: n}, nil
		case err == nil:
			_ = c.Close()
		case !noDescriptor(err) || !n.giveUp():
			return nil, err
		}
	}
}

func noDescriptor(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

func (n *adminListener) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open >= maxAdmin {
		return false
	}
	n.open++
	return true
}

// giveUp frees one descriptor, and reports whether there was one.
func (n *adminListener) giveUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := len(n.reserve) - 1
	if last < 0 {
		return false
	}
	_ = unix.Close(n.reserve[last])
	n.reserve = n.reserve[:last]
	return true
}

// left is called when a connection is closed: its descriptor goes to the reserve if
// that lacks one.
func (n *adminListener) left() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
	n.refillLocked()
}

func (n *adminListener) refillLocked() {
	for !n.closed && len(n.reserve) < adminReserve {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		n.reserve = append(n.reserve, fd)
	}
}

// Close implements net.Listener.
func (n *adminListener) Close() error {
	n.mu.Lock()
	for _, fd := range n.reserve {
		_ = unix.Close(fd)
	}
	n.reserve, n.closed = nil, true
	n.mu.Unlock()
	return n.Listener.Close()
}

// adminConn tells its listener when it is closed.
type adminConn struct {
	net.Conn
	listener *adminListener
	once     sync.Once
}

// Close implements net.Conn.
func (c *adminConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.listener.left)
	return err
}
