package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// maxUnixPath is the longest path of a unix socket, in bytes; unix(7) has 108 with
// the terminating zero.
const maxUnixPath = 107

// checkListenAddr checks the form of an address to listen on.
func checkListenAddr(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkUnixPath(path)
	}
	if name, ok := strings.CutPrefix(addr, "fd://"); ok {
		return checkInherited(name)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%q is not host:port, :port, [v6]:port, unix:/path, fd://NUMBER or fd://NAME", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", addr)
	}
	if !isHost(host) {
		return fmt.Errorf("%q is neither an address nor the name of a host", host)
	}
	return nil
}

// checkInherited checks what follows fd://: the number of a descriptor, or the name that systemd
// gives to one (FileDescriptorName= in systemd.socket(5)).
func checkInherited(name string) error {
	n, err := strconv.Atoi(name)
	switch {
	case err == nil && n < 3:
		return fmt.Errorf("fd://%s: the first descriptor that may be passed to a program is 3", name)
	case err != nil && (name == "" || len(name) > 255 || strings.ContainsFunc(name, notInName)):
		return fmt.Errorf("fd://%s has neither the number nor the name of a descriptor, as in fd://3 or fd://wsify.socket", name)
	}
	return nil
}

// notInName reports whether systemd has no r in the names of descriptors.
func notInName(r rune) bool { return r <= ' ' || r > '~' || r == ':' }

// checkDistinct returns an error when addr is, by its form, one of the public addresses.
func checkDistinct(addr string, public []string) error {
	for _, other := range public {
		if overlap(addr, other) {
			return fmt.Errorf("%s is taken by -listen-addr %s", addr, other)
		}
	}
	return nil
}

// overlap reports whether two addresses are the same, or one includes the other.
func overlap(a, b string) bool {
	if strings.HasPrefix(a, "fd://") || strings.HasPrefix(b, "fd://") {
		return a == b
	}
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
	case strings.HasPrefix(path, "@"):
		return fmt.Errorf("unix:%s is an abstract name, which has no mode: every user of this machine could connect; use a path", path)
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
