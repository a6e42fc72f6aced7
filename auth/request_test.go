package auth

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// heard is what a webhook received.
type heard struct {
	request *http.Request
	body    []byte
}

// asks sends calls to a webhook at base with path added, and returns what it received.
func asks(t *testing.T, cfg func(url string) Config, calls ...*Call) []heard {
	t.Helper()
	var all []heard // the calls are made one after another
	hook := newWebhook(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the body did not arrive: %v", err)
		}
		all = append(all, heard{r, body})
	})
	c := newClient(t, cfg(hook.URL))
	for _, call := range calls {
		if d, cause := c.Ask(call); d != Allow {
			t.Fatalf("Ask(%+v) = %v, %v", call, d, cause)
		}
	}
	if len(all) != len(calls) {
		t.Fatalf("the webhook received %d questions, want %d", len(all), len(calls))
	}
	return all
}

func plain(url string) Config { return Config{URL: url} }

func TestBodyArrivesByteForByte(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	bodies := [][]byte{
		nil,
		{},
		[]byte("x"),
		[]byte(` { "command" : "join", "args":{"channel":"a\u0000\r\n","n":12345678901234567890} } `),
		every,
		bytes.Repeat(every, 16), // the size of the write buffer
		bytes.Repeat(every, 16<<10),
		[]byte("short again"),
	}
	var calls []*Call
	for _, body := range bodies {
		calls = append(calls, &Call{Body: bytes.Clone(body)})
	}
	for i, got := range asks(t, plain, calls...) {
		if !bytes.Equal(got.body, bodies[i]) {
			t.Errorf("body %d of %d bytes arrived as %d others", i, len(bodies[i]), len(got.body))
		}
		if !bytes.Equal(calls[i].Body, bodies[i]) {
			t.Errorf("body %d was changed by Ask", i)
		}
		if n := got.request.ContentLength; n != int64(len(bodies[i])) {
			t.Errorf("Content-Length %d, want %d", n, len(bodies[i]))
		}
	}
}

func TestRequestHead(t *testing.T) {
	all := asks(t, plain,
		&Call{Body: []byte("{}"), User: "ann,é", Channel: "user:ann", Connection: "c-17", RemoteAddr: "[2001:db8::1]:4711", Query: "user=ann&tag=a%20b&x=1+2"},
		&Call{Body: []byte("{}")},
	)
	r := all[0].request
	want := http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {"2"},
		"User-Agent":     {"wsify"},
		HeaderUser:       {"ann%2C%C3%A9"},
		HeaderChannel:    {"user%3Aann"},
		HeaderConnection: {"c-17"},
		HeaderRemoteAddr: {"[2001:db8::1]:4711"},
		HeaderQuery:      {"user=ann&tag=a%20b&x=1+2"},
	}
	sameHeader(t, r.Header, want)
	if r.Method != http.MethodPost || r.URL.String() != "/" || r.Proto != "HTTP/1.1" {
		t.Errorf("request line %s %s %s, want POST / HTTP/1.1", r.Method, r.URL, r.Proto)
	}

	for _, name := range []string{HeaderUser, HeaderChannel, HeaderConnection, HeaderRemoteAddr, HeaderQuery} {
		delete(want, name) // headers of the previous call are not sent again
	}
	sameHeader(t, all[1].request.Header, want)
}

// TestTheTraceIsInTheQuestionItBelongsTo, and not in the next one on the same connection.
func TestTheTraceIsInTheQuestionItBelongsTo(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	all := asks(t, plain, &Call{TraceParent: parent, TraceState: "a=b, c=d"}, &Call{TraceParent: parent}, &Call{})
	for i, want := range [][2]string{{parent, "a=b, c=d"}, {parent, ""}, {"", ""}} {
		h := all[i].request.Header
		if got := [2]string{h.Get("traceparent"), h.Get("tracestate")}; got != want || len(h["Traceparent"]) > 1 {
			t.Errorf("question %d has the trace %q, want %q", i, got, want)
		}
	}
}

func sameHeader(t *testing.T, got, want http.Header) {
	t.Helper()
	for name := range want {
		if got.Get(name) != want.Get(name) || len(got[name]) != 1 {
			t.Errorf("header %s: %q, want %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("header %s: %q was not asked for", name, got[name])
		}
	}
}

func TestHeaderCannotBeInjected(t *testing.T) {
	evil := "a\r\nX-Admin: yes\r\n\r\nPOST / HTTP/1.1\r\n\n\r\x00\t é\x7f\xff"
	want := "a%0D%0AX-Admin:%20yes%0D%0A%0D%0APOST%20/%20HTTP/1.1%0D%0A%0A%0D%00%09%20%C3%A9%7F%FF"
	r := asks(t, plain, &Call{Body: []byte("{}"), Connection: evil, RemoteAddr: evil, Query: evil, TraceParent: evil, TraceState: evil})[0].request
	for _, name := range []string{HeaderConnection, HeaderRemoteAddr, HeaderQuery} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Header.Get("X-Admin") != "" {
		t.Error("a header was injected")
	}
}

func TestChannelIsEncodedButForUnreservedCharacters(t *testing.T) {
	channel := "a-Z.0_9~ /%+é\r\nX-Admin: yes\x00😀"
	want := "a-Z.0_9~%20%2F%25%2B%C3%A9%0D%0AX-Admin%3A%20yes%00%F0%9F%98%80"
	r := asks(t, plain, &Call{Body: []byte("{}"), Channel: channel})[0].request
	if got := r.Header.Get(HeaderChannel); got != want {
		t.Errorf("%s: %q, want %q", HeaderChannel, got, want)
	}
}

func FuzzHeaderValue(f *testing.F) {
	for _, seed := range []string{"", "user=ann", "a\r\nb: c", "\x00\xff%41", strings.Repeat("é", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if decoded, err := url.PathUnescape(string(appendEncoded(nil, s, unreserved))); decoded != s || err != nil {
			t.Fatalf("%q comes back as %q, error %v", s, decoded, err)
		}
		got := appendEncoded(nil, s, visible)
		for _, b := range got {
			if b <= ' ' || b >= 0x7f {
				t.Fatalf("appendEncoded(%q) = %q holds %q", s, got, b)
			}
		}
		if visible := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }); visible && string(got) != s {
			t.Fatalf("appendEncoded(%q) = %q, want it unchanged", s, got)
		}
	})
}

func TestURLIsSentAsWritten(t *testing.T) {
	tests := []struct{ path, want string }{
		{"", "/"},
		{"?key=1", "/?key=1"},
		{"/auth", "/auth"},
		{"/a//b/../c/./d%2Fe%20f", "/a//b/../c/./d%2Fe%20f"},
		{"//double?next=http://elsewhere/", "//double?next=http://elsewhere/"},
		{"/x?a=%0d%0a&b=+&c=a;b&d", "/x?a=%0d%0a&b=+&c=a;b&d"},
		{"/x?a b", "/x?a%20b"},
	}
	for _, tt := range tests {
		got := asks(t, func(url string) Config { return Config{URL: url + tt.path} }, join(), join())
		for _, h := range got {
			if h.request.RequestURI != tt.want {
				t.Errorf("%q is asked as %q, want %q", tt.path, h.request.RequestURI, tt.want)
			}
		}
	}
}

func TestUserInTheURLBecomesBasicAuth(t *testing.T) {
	tests := []struct {
		info, user, password string
		sent                 bool
	}{
		{"", "", "", false},
		{"@", "", "", false},
		{"ann:secret@", "ann", "secret", true},
		{"ann@", "ann", "", true},
		{":secret@", "", "secret", true},
		{"a%40b:p%3Aw%2F%C3%A9@", "a@b", "p:w/é", true},
	}
	for _, tt := range tests {
		r := asks(t, func(url string) Config {
			return Config{URL: strings.Replace(url, "://", "://"+tt.info, 1)}
		}, join())[0].request
		user, password, sent := r.BasicAuth()
		if user != tt.user || password != tt.password || sent != tt.sent {
			t.Errorf("%q: user %q, password %q, sent %v; want %q, %q, %v", tt.info, user, password, sent, tt.user, tt.password, tt.sent)
		}
		if strings.Contains(r.Host, "@") {
			t.Errorf("%q: Host %q", tt.info, r.Host)
		}
	}
}

func TestUserAgentIsTheConfiguredOne(t *testing.T) {
	r := asks(t, func(url string) Config { return Config{URL: url, UserAgent: "wsify/4.0 (test)"} }, join())[0].request
	if got := r.UserAgent(); got != "wsify/4.0 (test)" {
		t.Errorf("User-Agent: %q", got)
	}
}

func TestHostHeader(t *testing.T) {
	tests := []struct{ url, host, addr string }{
		{"http://example.test", "example.test", "example.test:80"},
		{"https://example.test", "example.test", "example.test:443"},
		{"http://example.test:", "example.test", "example.test:80"},
		{"http://example.test:8080/x", "example.test:8080", "example.test:8080"},
		{"HTTP://u:p@example.test:80", "example.test:80", "example.test:80"},
		{"http://[::1]", "[::1]", "[::1]:80"},
		{"http://[fe80::1%25eth0]:81", "[fe80::1]:81", "[fe80::1%eth0]:81"},
	}
	for _, tt := range tests {
		u, err := parseURL(tt.url)
		if err != nil {
			t.Errorf("parseURL(%q): %v", tt.url, err)
			continue
		}
		if got := hostHeader(u); got != tt.host {
			t.Errorf("Host for %q is %q, want %q", tt.url, got, tt.host)
		}
		if got := address(u); got != tt.addr {
			t.Errorf("address for %q is %q, want %q", tt.url, got, tt.addr)
		}
	}
}
