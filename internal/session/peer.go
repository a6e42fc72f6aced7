package session

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// maxHops bounds the proxies that a request may have passed.
const maxHops = 64

// fromUnix is the entry of -trusted-proxies for peers of unix sockets.
const fromUnix = "unix"

// proxies says which proxies are believed when they tell who their client is. It is
// immutable.
type proxies struct {
	trusted  []netip.Prefix // of -trusted-proxies
	unix     bool           // peers of unix sockets are trusted
	any      bool           // something is trusted
	announce bool           // PROXY headers are read
	required bool           // each connection has to begin with one
}

// Values of -proxy-protocol.
const (
	ProxyOff      = "off"
	ProxyOptional = "optional"
	ProxyRequired = "required"
)

// newProxies returns the proxies of a valid configuration.
func newProxies(trusted []string, protocol string) proxies {
	p := proxies{announce: protocol == ProxyOptional || protocol == ProxyRequired, required: protocol == ProxyRequired}
	for _, entry := range trusted {
		prefix, unix, _ := parseProxy(entry)
		if unix {
			p.unix = true
		} else {
			p.trusted = append(p.trusted, prefix)
		}
	}
	p.any = len(trusted) > 0
	return p
}

// on reports whether the address of a client may differ from that of its socket.
func (p *proxies) on() bool { return p.any || p.announce }

// CheckProxy returns an error when entry is none for -trusted-proxies.
func CheckProxy(entry string) error {
	_, _, err := parseProxy(entry)
	return err
}

// parseProxy reads an entry of -trusted-proxies: a network, an address, or "unix".
func parseProxy(entry string) (prefix netip.Prefix, unix bool, err error) {
	if entry == fromUnix {
		return prefix, true, nil
	}
	if strings.Contains(entry, "/") {
		prefix, err = netip.ParsePrefix(entry)
	} else if addr, wrong := netip.ParseAddr(entry); wrong != nil || addr.Zone() != "" {
		err = errors.New("not an address")
	} else {
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case err != nil:
		err = errors.New(entry + " is no address, no network such as 10.0.0.0/8, and not unix")
	case prefix.Addr().Is4In6():
		err = errors.New(entry + " is an IPv4 address inside an IPv6 address; write it as IPv4")
	case prefix != prefix.Masked():
		err = errors.New(entry + " has bits behind its length; the network is " + prefix.Masked().String())
	}
	return prefix, false, err
}

// trusts reports whether addr belongs to a trusted proxy.
func (p *proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// trustsPeer reports whether the peer of c, whose address is addr, is a trusted proxy. A
// peer of TCP that has just reset the connection has no address either.
func (p *proxies) trustsPeer(c *netpoll.Conn, addr netip.Addr) bool {
	if addr.IsValid() {
		return p.trusts(addr)
	}
	return p.unix && c.IsUnix()
}

// endpoint is an address with a port, in fewer bytes than netip.AddrPort has, and without
// a pointer. The zero value is no address.
type endpoint struct {
	ip   [16]byte // an IPv4 address is mapped
	port uint16   // 0: not known
}

func endpointOf(a netip.AddrPort) endpoint {
	if !a.IsValid() {
		return endpoint{}
	}
	return endpoint{a.Addr().As16(), a.Port()}
}

func (e endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.ip).Unmap(), e.port)
}

// client returns the address of the client: from a trusted proxy if one has told it, else
// from the socket. Its port is 0 if a proxy has not told it. It is not valid if the
// address is unknown: for a unix socket, or when the client has reset the connection.
func (l *loop) client(c *netpoll.Conn) netip.AddrPort {
	if l.node.proxies.on() {
		if e := *l.told.At(c.Slot()); e != (endpoint{}) {
			return e.addrPort()
		}
	}
	return c.RemoteAddr()
}

// peer returns the client's address without its port; see client.
func (l *loop) peer(c *netpoll.Conn) netip.Addr { return l.client(c).Addr() }

// remoteAddr returns the client's address as the authorizer and the log get it: with its
// port, if that is known.
func (l *loop) remoteAddr(c *netpoll.Conn) string { return addrText(l.client(c)) }

func addrText(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// setClient records the client's address, for as long as the connection lives.
func (l *loop) setClient(c *netpoll.Conn, at netip.AddrPort) {
	*l.told.At(c.Slot()) = endpointOf(at)
	l.logAs(c, addrText(at))
}

// judgePeer returns the address of the client that sent request r, which a trusted proxy
// may have passed on. The connection has that address from now on, unless r is for
// /broadcast: a proxy may keep such a connection, and its next request may be another
// client's.
func (l *loop) judgePeer(c *netpoll.Conn, r *wire.Request) netip.AddrPort {
	p, peer := &l.node.proxies, l.client(c)
	if !p.any || !p.trustsPeer(c, peer.Addr()) {
		return peer
	}
	at := p.origin(peer, r)
	switch {
	case at == peer:
	case string(r.Path) == publish.Path:
		l.logAs(c, addrText(at))
	default:
		l.setClient(c, at)
	}
	return at
}

// origin follows a request back from a trusted proxy. It stops at the first address that
// is not trusted, which is the client's, or before an entry that is no address.
func (p *proxies) origin(at netip.AddrPort, r *wire.Request) netip.AddrPort {
	hops := 0
	for hop := range r.Hops {
		if hops++; !hop.IsValid() || hops > maxHops {
			break
		}
		if at = hop; !p.trusts(hop.Addr()) {
			break
		}
	}
	return at
}
