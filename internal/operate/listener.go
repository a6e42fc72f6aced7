package operate

import (
	"net"
	"sync"
	"sync/atomic"
)

// MaxConnections bounds the connections of the admin listener, if there are enough descriptors.
// Each has a goroutine and buffers.
const MaxConnections = 64

// listener bounds the number of its connections. Any goroutine may call its methods.
type listener struct {
	net.Listener
	max  int64
	open atomic.Int64 // connections
}

func newListener(ln net.Listener, most int) *listener {
	return &listener{Listener: ln, max: int64(most)}
}

// Accept implements net.Listener.
func (n *listener) Accept() (net.Conn, error) {
	for {
		c, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if n.open.Add(1) <= n.max {
			return &conn{Conn: c, listener: n}, nil
		}
		n.open.Add(-1)
		_ = c.Close()
	}
}

// conn reports to its listener when it is closed.
type conn struct {
	net.Conn
	listener *listener
	once     sync.Once
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.listener.open.Add(-1) })
	return err
}
