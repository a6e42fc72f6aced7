package wire

import (
	"bytes"
	"net/netip"
)

// rootPath is the path of an absolute-form target without one. It is read-only.
var rootPath = []byte("/")

// parseTarget splits r.Target into host, path and query; RFC 9112, section 3.2.
// It takes the origin form, the absolute form, and "*" of OPTIONS. The authority
// form is for proxies and is refused.
func (r *Request) parseTarget() *HandshakeError {
	if !all(r.Target, isTarget) {
		return errTarget
	}
	path := r.Target
	if path[0] != '/' {
		if len(path) == 1 && path[0] == '*' && string(r.Method) == "OPTIONS" {
			r.Path = path
			return nil
		}
		var ok bool
		if r.Host, path, ok = cutAuthority(path); !ok {
			return errTarget
		}
		r.seen |= seenAbsolute
	}
	r.Path = path
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		r.Path, r.RawQuery = path[:i], path[i+1:]
	}
	if len(r.Path) == 0 {
		r.Path = rootPath
	}
	if !validEscapes(r.Path) {
		return errTarget
	}
	return nil
}

// cutAuthority splits an absolute-form target after its authority. The rest begins
// with '/' or '?', or is empty.
func cutAuthority(target []byte) (host, rest []byte, ok bool) {
	scheme, rest, found := bytes.Cut(target, []byte("://"))
	if !found || !knownScheme(scheme) {
		return nil, nil, false
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], end > 0 && validAuthority(rest[:end])
}

func knownScheme(p []byte) bool {
	return equalFold(p, "http") || equalFold(p, "https") || equalFold(p, "ws") || equalFold(p, "wss")
}

// validAuthority reports whether p is a host with an optional port: a name, an IPv4
// address, or an IPv6 address in brackets; RFC 3986, section 3.2.2. User names,
// zones and percent escapes are not allowed in a request.
func validAuthority(p []byte) bool {
	if len(p) > 0 && p[0] == '[' {
		end := bytes.IndexByte(p, ']')
		return end > 0 && validIPv6(p[1:end]) && validPort(p[end+1:])
	}
	end := bytes.IndexByte(p, ':')
	if end < 0 {
		return all(p, isRegName)
	}
	return end > 0 && all(p[:end], isRegName) && validPort(p[end:])
}

func validIPv6(p []byte) bool {
	addr, err := netip.ParseAddr(string(p))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// validPort reports whether p is empty, or a colon with any number of digits.
func validPort(p []byte) bool {
	return len(p) == 0 || p[0] == ':' && all(p[1:], isNumber)
}

// validEscapes reports whether each '%' begins a complete escape.
func validEscapes(p []byte) bool {
	for i := bytes.IndexByte(p, '%'); i >= 0; i = bytes.IndexByte(p, '%') {
		if len(p) < i+3 || !isHex(p[i+1]) || !isHex(p[i+2]) {
			return false
		}
		p = p[i+3:]
	}
	return true
}
