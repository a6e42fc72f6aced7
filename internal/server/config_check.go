package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"wsify/auth"
	"wsify/internal/session"
)

// maxUnixPath is the longest path of a unix socket, in bytes; unix(7) has 108 with
// the terminating zero.
const maxUnixPath = 107

func (p *problems) checkService(c *Config) {
	p.add("listen-addr", checkListenAddr(c.ListenAddr))
	if c.AdminAddr != "" {
		p.add("admin-addr", checkListenAddr(c.AdminAddr))
		p.add("admin-addr", checkDistinct(c.AdminAddr, c.ListenAddr))
	}
	p.checkBroker(c)
}

func (p *problems) checkBroker(c *Config) {
	switch d, err := driverOf(c); {
	case err != nil:
		p.add("broker-driver", err)
	case d.Check != nil:
		wrong := d.Check(brokerConfig(c))
		p.add("broker-dsn", wrong.DSN)
		p.add("broker-prefix", wrong.Prefix)
		p.add("max-channel-length", wrong.MaxChannel)
	}
	p.between("broker-buffer", c.BrokerBuffer, 1, maxSize)
	if len(c.BrokerPrefix) > maxBrokerPrefix {
		p.add("broker-prefix", fmt.Errorf("it has %d bytes, and may have %d", len(c.BrokerPrefix), maxBrokerPrefix))
	}
}

func (p *problems) checkAccess(c *Config) {
	if c.AuthorizerURL != "" {
		if err := (auth.Config{URL: c.AuthorizerURL}).Validate(); err != nil {
			*p = append(*p, err) // the error names the flag
		}
	}
	_, err := c.authorizerTLS()
	p.add("authorizer-ca", err)
	p.positive("authorizer-timeout", c.AuthorizerTimeout)
	if len(c.AuthorizerEvents) == 0 {
		p.add("authorizer-events", errors.New("nothing would be asked; leave it out to ask about everything"))
	}
	for _, name := range c.AuthorizerEvents {
		if !slices.Contains(allEvents, name) {
			p.add("authorizer-events", fmt.Errorf("%q is none of connect, join, leave, broadcast", name))
		}
	}
	p.add("broadcasting-key", checkKey(c.BroadcastingKey))
	for _, pattern := range c.AllowedOrigins {
		p.add("allowed-origins", session.CheckOrigin(pattern))
	}
}

// authorizerTLS returns the TLS configuration for the authorizer; nil means Go's default.
func (c *Config) authorizerTLS() (*tls.Config, error) {
	if c.AuthorizerCA == "" {
		return nil, nil
	}
	if u, err := url.Parse(c.AuthorizerURL); err == nil && u.Scheme != "https" { // a wrong URL is reported elsewhere
		return nil, errors.New("it is for an -authorizer-url that begins with https://")
	}
	roots, err := auth.LoadRoots(c.AuthorizerCA)
	return &tls.Config{RootCAs: roots}, err
}

// checkListenAddr checks the form of an address to listen on.
func checkListenAddr(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkUnixPath(path)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%q is not host:port, :port, [v6]:port or unix:/path", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", addr)
	}
	if !isHost(host) {
		return fmt.Errorf("%q is neither an address nor the name of a host", host)
	}
	return nil
}

// checkDistinct returns an error when addr and other are, by their forms, the same address.
func checkDistinct(addr, other string) error {
	if overlap(addr, other) {
		return fmt.Errorf("%s is taken by -listen-addr %s", addr, other)
	}
	return nil
}

// overlap reports whether two addresses are the same, or one includes the other.
func overlap(a, b string) bool {
	pathA, unixA := strings.CutPrefix(a, "unix:")
	pathB, unixB := strings.CutPrefix(b, "unix:")
	if unixA || unixB {
		return unixA && unixB && filepath.Clean(pathA) == filepath.Clean(pathB)
	}
	hostA, portA, errA := splitListenAddr(a)
	hostB, portB, errB := splitListenAddr(b)
	return errA == nil && errB == nil && portA == portB && portA != 0 &&
		(isAnyHost(hostA) || isAnyHost(hostB) || sameAddress(hostA, hostB) || sameAddress(hostB, hostA))
}

// splitListenAddr returns the host, and the number of the port, which may have a name.
func splitListenAddr(addr string) (host string, port int, err error) {
	host, name, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = net.LookupPort("tcp", name)
	}
	return host, port, err
}

// sameAddress reports whether a is b in another form of the address. localhost equals any loopback
// address, without asking a resolver.
func sameAddress(a, b string) bool {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	switch {
	case errA == nil && errB == nil:
		return ipA.Unmap() == ipB.Unmap()
	case strings.EqualFold(a, "localhost") && errB == nil:
		return ipB.Unmap().IsLoopback()
	}
	return strings.EqualFold(a, b)
}

// isAnyHost reports whether host means all addresses of this machine.
func isAnyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func checkUnixPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("unix:%s does not name an absolute path, as in unix:/run/wsify.sock", path)
	case len(path) > maxUnixPath:
		return fmt.Errorf("the path of a unix socket has at most %d bytes, this one %d", maxUnixPath, len(path))
	case strings.ContainsRune(path, 0):
		return errors.New("the path of the unix socket holds a zero byte")
	}
	return nil
}

// isHost reports whether host has the form of a host to listen on: empty, an address, or a name.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	if strings.Trim(host, "0123456789.") == "" { // meant as an IPv4 address
		return false
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._", r)
	})
}

// checkKey finds mistakes in copying a key: a backend could not send such a key in a header, and
// the reason would be hard to find.
func checkKey(key string) error {
	switch {
	case strings.TrimSpace(key) != key:
		return errors.New("the key begins or ends with white space")
	case strings.ContainsFunc(key, unicode.IsControl):
		return errors.New("the key holds a control character")
	}
	return nil
}
