package server

import "strings"

// origins is which values of the Origin header may upgrade.
type origins struct {
	any      bool
	self     bool     // that of the host that was connected to
	patterns []string // lower case
}

func newOrigins(allowed []string) origins {
	o := origins{any: len(allowed) == 0}
	for _, p := range allowed {
		switch p {
		case "*":
			o.any = true
		case originSelf:
			o.self = true
		default:
			o.patterns = append(o.patterns, withoutDefaultPort(strings.ToLower(p)))
		}
	}
	return o
}

// originSelf is the word for an origin whose host is the one that was connected to:
// pages of the same site, and clients that are no page and send the server's own, as
// React Native does.
const originSelf = "self"

// allow reports whether a page of this origin may connect to this host. A request
// without an Origin header does not come from a page and is always allowed; RFC 6455,
// section 10.2.
func (o *origins) allow(origin, host []byte) bool {
	if o.any || origin == nil {
		return true
	}
	got := withoutDefaultPort(strings.ToLower(string(origin)))
	if o.self && sameHost(got, strings.ToLower(string(host))) {
		return true
	}
	for _, p := range o.patterns {
		if matchOrigin(p, got) {
			return true
		}
	}
	return false
}

// defaultPorts are those that an origin leaves out; clients that are no page write the
// schemes of WebSocket there, too.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443"}

// withoutDefaultPort returns an origin without the port that its scheme implies.
func withoutDefaultPort(origin string) string {
	scheme, _, _ := strings.Cut(origin, "://")
	if port := defaultPorts[scheme]; port != "" {
		return strings.TrimSuffix(origin, ":"+port)
	}
	return origin
}

// sameHost reports whether an origin without its default port names the host of a Host
// header. A proxy may have ended TLS, so the scheme with which a client connected is not
// known: a Host without a port stands for the default port of either.
func sameHost(origin, host string) bool {
	scheme, name, _ := strings.Cut(origin, "://")
	return name != "" && defaultPorts[scheme] != "" && origin == withoutDefaultPort(scheme+"://"+host)
}

// matchOrigin compares an origin with a pattern in which "*." stands for one or
// more leading labels of the host.
func matchOrigin(pattern, origin string) bool {
	before, after, wild := strings.Cut(pattern, "*.")
	if !wild {
		return pattern == origin
	}
	host, ok := strings.CutPrefix(origin, before)
	if !ok {
		return false
	}
	labels, ok := strings.CutSuffix(host, "."+after)
	return ok && labels != "" && !strings.ContainsAny(labels, "/:@?#")
}
