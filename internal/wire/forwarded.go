package wire

import (
	"bytes"
	"net/netip"
	"slices"
)

// Hops calls yield with the addresses that proxies say they got the request from, the
// nearest first. These are the entries of X-Forwarded-For from right to left, over
// several lines. Without that header they are those of Forwarded (RFC 7239).
//
// The port is 0 when it is not said. The address is not valid when it is not said
// ("unknown", "_hidden") or malformed: nobody can say then what is further left, so a
// caller has to stop there. Use it in a range statement.
//
// The caller decides which hops to believe: a client may send these headers too, and
// each proxy adds its entry at the right. Entries are therefore read from the right, so
// that a quotation mark which a client sends cannot change those of the proxies.
func (r *Request) Hops(yield func(netip.AddrPort) bool) {
	lines, parse := r.values("X-Forwarded-For"), parseNode
	if lines == nil {
		lines, parse = r.values("Forwarded"), parseForwarded
	}
	for _, rest := range slices.Backward(lines) {
		for rest != nil {
			var entry []byte
			rest, entry = cutLast(rest, ',')
			if entry = trim(entry); len(entry) > 0 && !yield(parse(entry)) {
				return
			}
		}
	}
}

// values returns the values of all headers of this name, in order.
func (r *Request) values(name string) (all [][]byte) {
	for sent, value := range r.Headers {
		if equalFold(sent, name) {
			all = append(all, value)
		}
	}
	return all
}

// cutLast splits p at its last sep that is not in a quoted string; RFC 9110, section
// 5.6.4. Without one, before is nil.
func cutLast(p []byte, sep byte) (before, after []byte) {
	quoted := false
	for i := len(p) - 1; i >= 0; i-- {
		switch {
		case p[i] == '"' && !escaped(p[:i]):
			quoted = !quoted
		case p[i] == sep && !quoted:
			return p[:i], p[i+1:]
		}
	}
	return nil, p
}

// escaped reports whether the byte after p is escaped: p ends with an odd number of
// backslashes.
func escaped(p []byte) bool {
	return (len(p)-len(bytes.TrimRight(p, `\`)))%2 == 1
}

// parseForwarded returns the address in the parameter "for" of an entry of Forwarded; RFC
// 7239, section 4.
func parseForwarded(entry []byte) (node netip.AddrPort) {
	found := false
	for rest := entry; rest != nil; {
		var pair []byte
		rest, pair = cutLast(rest, ';')
		name, value, _ := bytes.Cut(trim(pair), []byte("="))
		if !equalFold(name, "for") {
			continue
		}
		if found {
			return netip.AddrPort{}
		}
		found, node = true, parseNode(unquote(value))
	}
	return node
}

// unquote returns the content of a quoted string, and anything else as it is.
func unquote(p []byte) []byte {
	if len(p) < 2 || p[0] != '"' || p[len(p)-1] != '"' {
		return p
	}
	var content []byte
	for i := 1; i < len(p)-1; i++ {
		if p[i] == '\\' && i < len(p)-2 {
			i++
		}
		content = append(content, p[i])
	}
	return content
}

// maxNode is more than the longest node has: "[" IPv6 "]:" and an obfuscated port.
const maxNode = 128

// parseNode reads an address with or without a port: "192.0.2.1", "192.0.2.1:80",
// "[2001:db8::1]", "[2001:db8::1]:80" (RFC 7239, section 6), and also "2001:db8::1", as
// most write it in X-Forwarded-For. It is not valid otherwise.
func parseNode(p []byte) (node netip.AddrPort) {
	if len(p) > maxNode {
		return netip.AddrPort{}
	}
	host, port, hasPort := string(p), "", false
	v6 := len(p) > 0 && p[0] == '['
	if end := bytes.IndexByte(p, ']'); v6 && end > 0 {
		host, port = string(p[1:end]), string(p[end+1:])
		if hasPort = port != ""; hasPort && port[0] != ':' {
			return netip.AddrPort{}
		}
		port = port[min(len(port), 1):]
	} else if colon := bytes.IndexByte(p, ':'); colon >= 0 && colon == bytes.LastIndexByte(p, ':') {
		host, port, hasPort = string(p[:colon]), string(p[colon+1:]), true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || addr.Unmap().IsUnspecified() || v6 && addr.Is4() {
		return netip.AddrPort{}
	}
	number, ok := parsePort(port)
	if hidden := len(port) > 1 && port[0] == '_'; hasPort && !ok && !hidden {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), number)
}
