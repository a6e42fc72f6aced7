package session

import (
	"net/netip"

	"wsify/netpoll"
)

// peer returns the address of the client at the other end of c: the socket's. It is not
// valid where nobody knows it: for a unix socket, or when the client has vanished.
func (l *loop) peer(c *netpoll.Conn) netip.Addr {
	return c.RemoteAddr().Addr()
}

// remoteAddr is what the authorizer and the log are told of the client's address: with
// its port, which a socket has.
func (l *loop) remoteAddr(c *netpoll.Conn) string {
	if a := c.RemoteAddr(); a.IsValid() {
		return a.String()
	}
	return ""
}
