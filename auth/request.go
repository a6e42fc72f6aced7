package auth

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// Names of the headers that carry a Call's strings.
const (
	HeaderUser       = "X-Wsify-User"
	HeaderChannel    = "X-Wsify-Channel"
	HeaderConnection = "X-Wsify-Connection"
	HeaderRemoteAddr = "X-Wsify-Remote-Addr"
	HeaderQuery      = "X-Wsify-Query"

	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// template holds what all requests of a client have in common. It is immutable.
type template struct {
	host, path, query string // as they are sent
	userAgent         string
	authorization     string // empty: none
}

func newTemplate(u *url.URL, userAgent string) *template {
	t := &template{host: hostHeader(u), path: u.EscapedPath(), query: string(appendEncoded(nil, u.RawQuery, visible)), userAgent: userAgent}
	if t.path == "" {
		t.path = "/"
	}
	if user := u.User; user != nil && user.String() != "" {
		password, _ := user.Password()
		t.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
	}
	return t
}

// hostHeader returns the URL's host as it is sent: without the zone of an IPv6 address, which is
// only valid on this machine (RFC 6874, section 3).
func hostHeader(u *url.URL) string {
	host := strings.TrimSuffix(u.Host, ":")
	if zone := strings.IndexByte(host, '%'); zone >= 0 {
		if end := strings.LastIndexByte(host, ']'); end > zone {
			host = host[:zone] + host[end:]
		}
	}
	return host
}

// exchange is the memory of one call. It is owned by one call of Ask at a time
// and pooled between calls.
type exchange struct {
	request  *fasthttp.Request
	response *fasthttp.Response
	value    []byte // scratch for header values
	traced   bool   // the request has headers of a trace
}

// exchange returns a new exchange with all constant parts set.
func (t *template) exchange() *exchange {
	x := &exchange{request: new(fasthttp.Request), response: new(fasthttp.Response)}

	// The URI is assembled instead of parsed, so that path and query are sent as written. Its
	// scheme stays http, because the dialer does TLS.
	uri := fasthttp.AcquireURI()
	uri.DisablePathNormalizing = true
	uri.SetScheme("http")
	uri.SetHost(t.host)
	uri.SetPath(t.path)
	uri.SetQueryString(t.query)
	x.request.SetURI(uri)
	fasthttp.ReleaseURI(uri)

	x.request.UseHostHeader = true
	header := &x.request.Header
	header.SetHost(t.host)
	header.SetMethod(fasthttp.MethodPost)
	header.SetContentType("application/json")
	header.SetUserAgent(t.userAgent)
	if t.authorization != "" {
		header.Set(fasthttp.HeaderAuthorization, t.authorization)
	}
	return x
}

// prepare fills in call, whose body the exchange borrows until reset.
func (x *exchange) prepare(call *Call) {
	x.request.SetBodyRaw(call.Body)
	x.set(HeaderUser, call.User, unreserved)
	x.set(HeaderChannel, call.Channel, unreserved)
	x.set(HeaderConnection, call.Connection, visible)
	x.set(HeaderRemoteAddr, call.RemoteAddr, visible)
	x.set(HeaderQuery, call.Query, visible)
	if call.TraceParent != "" || x.traced {
		x.set(headerTraceParent, call.TraceParent, visible)
		x.set(headerTraceState, call.TraceState, func(b byte) bool { return b == ' ' || visible(b) })
		x.traced = call.TraceParent != ""
	}
}

// reset returns the exchange to its template.
func (x *exchange) reset() {
	x.request.SetBodyRaw(nil)
	x.response.Reset()
}

// set sets a header to value, with every byte that does not pass percent-encoded.
func (x *exchange) set(name, value string, passes func(byte) bool) {
	if value == "" {
		x.request.Header.Del(name)
		return
	}
	x.value = appendEncoded(x.value[:0], value, passes)
	x.request.Header.SetBytesV(name, x.value)
}

// appendEncoded appends s with every byte that does not pass as %XX; RFC 3986,
// section 2.1.
func appendEncoded(dst []byte, s string, passes func(byte) bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if b := s[i]; passes(b) {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}

// visible passes visible ASCII: a query string keeps its meaning, and no byte can end a header (RFC
// 9110, section 5.5).
func visible(b byte) bool { return b > ' ' && b < 0x7f }

// unreserved passes bytes that have no special meaning in a URI (RFC 3986, section 2.3), so that
// decoding yields exactly what was encoded.
func unreserved(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return b == '-' || b == '.' || b == '_' || b == '~'
}
