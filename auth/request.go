package auth

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// Names of the headers that carry a Call's strings.
const (
	HeaderConnection = "X-Wsify-Connection"
	HeaderRemoteAddr = "X-Wsify-Remote-Addr"
	HeaderQuery      = "X-Wsify-Query"
)

// template is what all requests of a client have in common. Immutable.
type template struct {
	host, path, query string // as they are sent
	userAgent         string
	authorization     string // empty: none
}

func newTemplate(u *url.URL, userAgent string) *template {
	t := &template{host: hostHeader(u), path: u.EscapedPath(), query: string(appendVisible(nil, u.RawQuery)), userAgent: userAgent}
	if t.path == "" {
		t.path = "/"
	}
	if user := u.User; user != nil && user.String() != "" {
		password, _ := user.Password()
		t.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
	}
	return t
}

// hostHeader returns the URL's host as it is sent: the zone of an IPv6 address
// means nothing to the other end (RFC 6874, section 3).
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
}

// exchange returns a new exchange with everything set that never changes.
func (t *template) exchange() *exchange {
	x := &exchange{request: new(fasthttp.Request), response: new(fasthttp.Response)}

	// The URI is put together instead of parsed, so that path and query leave
	// as written. Its scheme stays http: TLS is the dialer's.
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
	x.set(HeaderConnection, call.Connection)
	x.set(HeaderRemoteAddr, call.RemoteAddr)
	x.set(HeaderQuery, call.Query)
}

// reset returns the exchange to its template.
func (x *exchange) reset() {
	x.request.SetBodyRaw(nil)
	x.response.Reset()
}

func (x *exchange) set(name, value string) {
	if value == "" {
		x.request.Header.Del(name)
		return
	}
	x.value = appendVisible(x.value[:0], value)
	x.request.Header.SetBytesV(name, x.value)
}

// appendVisible appends s with every byte outside visible ASCII as %XX. A
// query string stays the same query by it (RFC 3986, section 2.1), and no
// header can be ended by it (RFC 9110, section 5.5).
func appendVisible(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if b := s[i]; b > ' ' && b < 0x7f {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}
