package server

import (
	"net"
	"sync"
	"sync/atomic"
)

// maxAdmin is how many connections the admin listener has at once; further ones are
// closed. Each has a goroutine and buffers. There are fewer where the descriptors that
// are kept are few.
const maxAdmin = 64

// adminListener bounds how many connections there are. Its methods may be called from
// any goroutine.
type adminListener struct {
	net.Listener
	max  int64
	open atomic.Int64 // connections
}

func newAdminListener(ln net.Listener, most int) *adminListener {
	return &adminListener{Listener: ln, max: int64(most)}
}

// Accept implements net.Listener.
func (n *adminListener) Accept() (net.Conn, error) {
	for {
		c, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if n.open.Add(1) <= n.max {
			return &adminConn{Conn: c, listener: n}, nil
		}
		n.open.Add(-1)
		_ = c.Close()
	}
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
	c.once.Do(func() { c.listener.open.Add(-1) })
	return err
}
