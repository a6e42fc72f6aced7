package session

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// origins are the values of the Origin header that may upgrade.
type origins struct {
	any      bool
	self     bool     // the origin of the host in the Host header
	patterns []string // as returned by plainOrigin
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
			o.patterns = append(o.patterns, plainOrigin(p))
		}
	}
	return o
}

// originSelf stands for an origin whose host is the one in the Host header. Pages of the
// same site send it. So do some clients that are not browsers, such as React Native,
// which sends the server's own origin.
const originSelf = "self"

// allow reports whether a page of this origin may connect to this host. A request
// without an Origin header does not come from a page and is always allowed; RFC 6455,
// section 10.2.
func (o *origins) allow(origin, host []byte) bool {
	if o.any || origin == nil {
		return true
	}
	got := plainOrigin(string(origin))
	if o.self && sameHost(got, string(host)) {
		return true
	}
	for _, p := range o.patterns {
		if matchOrigin(p, got) {
			return true
		}
	}
	return false
}

// plainOrigin returns an origin in lower case, without the port that its scheme implies.
// It replaces ws by http and wss by https. No browser sends these, but other clients
// may, and operators may list the address that clients connect to.
func plainOrigin(origin string) string {
	origin = strings.ToLower(origin)
	scheme, host, _ := strings.Cut(origin, "://")
	switch scheme {
	case "http", "ws":
		return "http://" + strings.TrimSuffix(host, ":80")
	case "https", "wss":
		return "https://" + strings.TrimSuffix(host, ":443")
	}
	return origin
}

// sameHost reports whether a plain origin has the host of a Host header. A proxy may
// have terminated TLS, so the client's scheme is not known: a Host without a port
// stands for the default port of http and of https.
func sameHost(origin, host string) bool {
	_, name, _ := strings.Cut(origin, "://")
	return name != "" && (origin == plainOrigin("http://"+host) || origin == plainOrigin("https://"+host))
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

// CheckOrigin reports a pattern that no browser's Origin header could ever match;
// RFC 6454, section 6.1.
func CheckOrigin(pattern string) error {
	if pattern == "*" || pattern == "null" || pattern == originSelf {
		return nil
	}
	scheme, host, ok := strings.Cut(pattern, "://")
	if !ok {
		return fmt.Errorf("%q has no scheme; write it as in https://example.com or https://*.example.com", pattern)
	}
	host = strings.TrimPrefix(host, "*.")
	u, err := url.Parse(scheme + "://" + host)
	switch {
	case err != nil || host == "" || u.Hostname() == "" || strings.HasSuffix(host, ":") || strings.ContainsAny(host, "*, "):
		return fmt.Errorf("%q is not an origin, as in https://example.com or https://*.example.com", pattern)
	case u.Host != host:
		return fmt.Errorf("%q has more than scheme, host and port, which is all that browsers send", pattern)
	case strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }):
		return fmt.Errorf("%q is not ASCII; browsers send such a name as xn--…", pattern)
	}
	return nil
}
