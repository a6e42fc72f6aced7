package operate

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forLocalNames refuses requests with a Host other than this machine, when the admin
// listener is on loopback. Otherwise a web page could let its own name resolve to 127.0.0.1 and
// read profiles through its visitor's browser (DNS rebinding). A browser always sends Host; a load
// balancer's check may not.
func forLocalNames(addr net.Addr, h http.Handler, refuse http.HandlerFunc) http.Handler {
	if tcp, ok := addr.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "" && !isLocalName(r.Host) {
			refuse(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isLocalName reports whether a Host header names this machine; RFC 6761, section 6.3.
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
