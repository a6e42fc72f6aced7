package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// A proxy sends the PROXY header before the first byte of its client. Section numbers
// are those of HAProxy's proxy-protocol.txt.
const (
	proxyMark1 = "PROXY "
	proxyMark2 = "\r\n\r\n\x00\r\nQUIT\n"

	// maxProxyLine is the longest header of version 1, with CR LF; section 2.1.
	maxProxyLine = 107
	// maxProxyHeader is the longest header of version 2 that is read. The
	// specification allows 64 KiB; a client's certificate takes some 2 KiB of it.
	maxProxyHeader = 4 << 10
	// proxyFixed is the size of the part of version 2 that each header has.
	proxyFixed = len(proxyMark2) + 4
)

// ErrNoProxy is the error of input that does not begin with a PROXY header.
var ErrNoProxy = errors.New("no PROXY header")

// Errors in a PROXY header.
var (
	errProxyLong    = errors.New("PROXY header: too long")
	errProxyLine    = errors.New("PROXY header: malformed line")
	errProxyVersion = errors.New("PROXY header: unknown version or command")
	errProxyFamily  = errors.New("PROXY header: unknown address family or protocol")
	errProxyShort   = errors.New("PROXY header: shorter than its addresses")
	errProxyTLV     = errors.New("PROXY header: malformed extension")
	errProxySum     = errors.New("PROXY header: wrong checksum")
)

// ParseProxy reads a PROXY header, of version 1 or 2, at the start of p. It returns the
// address of the proxy's client, and the size of the header. The address is not valid
// when the header has none: a health check of the proxy itself, an unknown protocol, a
// unix socket, 0.0.0.0 or ::. The address of the proxy then stands.
//
// When p ends inside the header, it returns n == 0 and a nil error: call again with more
// input. When p cannot be the start of a header, the error is ErrNoProxy. At any other
// error the connection has to end: who has sent it is not known.
func ParseProxy(p []byte) (client netip.AddrPort, n int, err error) {
	switch {
	case begins(p, proxyMark1):
		client, n, err = parseProxyLine(p)
	case begins(p, proxyMark2):
		client, n, err = parseProxyBinary(p)
	default:
		err = ErrNoProxy
	}
	if client.Addr().IsUnspecified() {
		client = netip.AddrPort{}
	}
	return client, n, err
}

// begins reports whether p begins with mark, or is the beginning of it.
func begins(p []byte, mark string) bool {
	return string(p[:min(len(p), len(mark))]) == mark[:min(len(p), len(mark))]
}

// parseProxyLine reads a header of version 1; section 2.1.
func parseProxyLine(p []byte) (client netip.AddrPort, n int, err error) {
	p = p[:min(len(p), maxProxyLine)]
	end := bytes.IndexByte(p, '\n')
	switch {
	case end < 0 && len(p) == maxProxyLine:
		return client, 0, errProxyLong
	case end < 0:
		return client, 0, nil
	case p[end-1] != '\r':
		return client, 0, errProxyLine
	}
	words := strings.Split(string(p[:end-1]), " ")
	if words[1] == "UNKNOWN" { // the rest of the line says nothing
		return client, end + 1, nil
	}
	if client, err = proxyWords(words[1:]); err != nil {
		return netip.AddrPort{}, 0, err
	}
	return client, end + 1, nil
}

// proxyWords reads protocol, both addresses and both ports. nginx writes an IPv4 address
// after TCP6 when the other one is an IPv6 address.
func proxyWords(words []string) (client netip.AddrPort, err error) {
	if len(words) != 5 || words[0] != "TCP4" && words[0] != "TCP6" {
		return client, errProxyLine
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(words[1+i])
		port, ok := parsePort(words[3+i])
		if err != nil || addr.Zone() != "" || !ok || words[0] == "TCP4" && !addr.Is4() {
			return client, errProxyLine
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), port)
	}
	return ends[0], nil
}

// parsePort reads a decimal port without leading zeros.
func parsePort(s string) (port uint16, ok bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && (s[0] != '0' || len(s) == 1)
}

// parseProxyBinary reads a header of version 2; section 2.2.
func parseProxyBinary(p []byte) (client netip.AddrPort, n int, err error) {
	if len(p) > len(proxyMark2) && p[12] != 0x20 && p[12] != 0x21 {
		return client, 0, errProxyVersion
	}
	if len(p) < proxyFixed {
		return client, 0, nil
	}
	n = proxyFixed + int(binary.BigEndian.Uint16(p[14:]))
	switch {
	case n > maxProxyHeader:
		return client, 0, errProxyLong
	case len(p) < n:
		return client, 0, nil
	case p[12] == 0x20: // LOCAL: whatever follows is to be discarded
		return client, n, nil
	}
	if client, err = proxyAddresses(p[:n]); err != nil {
		return netip.AddrPort{}, 0, err
	}
	return client, n, nil
}

// proxyAddresses reads the client's address from a whole header of version 2, and checks
// what follows the addresses.
func proxyAddresses(p []byte) (client netip.AddrPort, err error) {
	block := p[proxyFixed:]
	size := 0
	switch p[13] { // family and protocol
	case 0x00: // unknown: where its extensions begin is not known either
		return client, nil
	case 0x11, 0x12: // IPv4
		size = 12
	case 0x21, 0x22: // IPv6
		size = 36
	case 0x31, 0x32: // unix sockets
		size = 216
	default:
		return client, errProxyFamily
	}
	if len(block) < size {
		return client, errProxyShort
	}
	switch size {
	case 12:
		client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(block)), binary.BigEndian.Uint16(block[8:]))
	case 36:
		client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(block)).Unmap(), binary.BigEndian.Uint16(block[32:]))
	}
	return client, checkExtensions(p, proxyFixed+size)
}

// checkExtensions checks that the extensions of a header p, which begin at from, fill it
// exactly, and compares the checksum, if one of them is that; sections 2.2.1 and 2.2.4.
func checkExtensions(p []byte, from int) error {
	const crc32c, head = 0x03, 3
	for from < len(p) {
		if len(p)-from < head {
			return errProxyTLV
		}
		kind, size := p[from], int(binary.BigEndian.Uint16(p[from+1:]))
		from += head
		if len(p)-from < size {
			return errProxyTLV
		}
		if kind == crc32c && (size != 4 || binary.BigEndian.Uint32(p[from:]) != proxySum(p, from)) {
			return errProxySum
		}
		from += size
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// proxySum returns the checksum of a header whose own four bytes, at the place at, count
// as zeros.
func proxySum(p []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, p[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, p[at+4:])
}
