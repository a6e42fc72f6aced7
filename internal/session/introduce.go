package session

import (
	"errors"

	"wsify/internal/wire"
	"wsify/netpoll"
)

// first is the state of a new connection.
func (n *Node) first() state {
	if n.proxies.announce {
		return introducing
	}
	return handshaking
}

// readProxy collects the PROXY header in front of the first request, and takes the
// client's address from it. It returns the bytes of the request. Without a header they
// are all of p, unless it is required.
func (l *loop) readProxy(c *netpoll.Conn, s *session, p []byte) (rest []byte) {
	if e := l.more(s); e != nil {
		e.input = append(e.input, p...)
		p = e.input
	}
	client, n, err := wire.ParseProxy(p)
	switch {
	case errors.Is(err, wire.ErrNoProxy) && !l.node.proxies.required:
	case err != nil:
		l.rejectProxy(c, s, err.Error())
		return nil
	case n == 0:
		if e := l.extend(s); e.input == nil {
			e.input = append([]byte(nil), p...)
		}
		return nil
	case !l.mayIntroduce(c):
		l.rejectProxy(c, s, "a PROXY header from a peer that is not in -trusted-proxies")
		return nil
	case client.IsValid():
		l.setClient(c, client)
	}
	l.forget(s) // p still holds the bytes
	s.state = handshaking
	return p[n:]
}

// mayIntroduce reports whether the peer's PROXY header is believed. Without trusted
// proxies each peer is one: Config.Validate allows that only if the header is required.
func (l *loop) mayIntroduce(c *netpoll.Conn) bool {
	p := &l.node.proxies
	return !p.any || p.trustsPeer(c, c.RemoteAddr().Addr())
}

// rejectProxy closes a connection whose PROXY header is wrong or missing. There is no
// answer, because the peer speaks another protocol than HTTP.
//
// A peer that has reset the connection has no address any more, so it cannot be trusted,
// but has done nothing wrong: HAProxy ends its health checks like that.
func (l *loop) rejectProxy(c *netpoll.Conn, s *session, detail string) {
	if !c.RemoteAddr().IsValid() && !c.IsUnix() {
		l.drop(s)
		s.state = ending
		c.Close(netpoll.ReasonReset)
		return
	}
	l.counts.rejected[rejectProxyHeader].Add(1)
	if l.node.debugging() {
		l.node.log.Debug("handshake refused", "conn", l.node.connID(c.ID()), "addr", l.logAddr(c),
			"reason", rejectionNames[rejectProxyHeader], "detail", detail)
	}
	l.drop(s)
	s.state = ending
	c.Close(reasonRefused)
}
