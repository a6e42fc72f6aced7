package session

import (
	"net/netip"

	"wsify/netpoll"
)

// peer returns the client's address, from the socket of c. It is not valid if the address
// is unknown: for a unix socket, or when the client has reset the connection.
func (l *loop) peer(c *netpoll.Conn) netip.Addr {
	return c.RemoteAddr().Addr()
}

// remoteAddr returns the client's address with its port, as the authorizer and the log
// get it.
func (l *loop) remoteAddr(c *netpoll.Conn) string {
	if a := c.RemoteAddr(); a.IsValid() {
		return a.String()
	}
	return ""
}
