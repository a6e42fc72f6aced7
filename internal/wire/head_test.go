package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// browserHead is what a browser sends.
const browserHead = "GET /ws?user=ann&token=abc HTTP/1.1\r\n" +
	"Host: chat.example.com:3000\r\n" +
	"Connection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://chat.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

// status runs ParseRequest and returns the status of its refusal, or 0.
func status(t *testing.T, head string) int {
	t.Helper()
	_, err := ParseRequest([]byte(head))
	return refusal(t, err)
}

func refusal(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var bad *HandshakeError
	if !errors.As(err, &bad) {
		t.Fatalf("error is %T, want *HandshakeError", err)
	}
	if want := fmt.Sprintf("handshake: %d %s", bad.Status, bad.Detail); err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
	return bad.Status
}

func TestHeadEnd(t *testing.T) {
	tests := []struct {
		p    string
		want int
	}{
		{"", 0},
		{"GET / HTTP/1.1\r\n", 0},
		{"GET / HTTP/1.1\r\n\r", 0},
		{"GET / HTTP/1.1\r\n\r\n", 18},
		{"GET / HTTP/1.1\r\n\r\nframes\r\n\r\n", 18},
		{"GET / HTTP/1.1\n\n", 0},
		{"GET / HTTP/1.1\r\n\n", 0},
		{"\r\n\r\n", 4},
		{"\r\r\n\r\n", 5},
	}
	for _, tt := range tests {
		for from := range len(tt.p) + 1 {
			if HeadEnd([]byte(tt.p[:from]), 0) != 0 {
				break // a caller stops here and never asks again
			}
			if got := HeadEnd([]byte(tt.p), from); got != tt.want {
				t.Errorf("HeadEnd(%q, %d) = %d, want %d", tt.p, from, got, tt.want)
			}
		}
	}
	if got := HeadEnd([]byte("\r\n\r\n"), 99); got != 0 {
		t.Errorf("HeadEnd searched from behind the end = %d, want 0", got)
	}
	if got := HeadEnd([]byte("\r\n\r\n"), -1); got != 4 {
		t.Errorf("HeadEnd searched from before the start = %d, want 4", got)
	}
}

func TestParseRequestOfABrowser(t *testing.T) {
	r, err := ParseRequest([]byte(browserHead))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %s %s %s %s %s %d %t", r.Method, r.Target, r.Path, r.RawQuery, r.Host, r.Origin, r.Minor, r.IsUpgrade())
	want := "GET /ws?user=ann&token=abc /ws user=ann&token=abc chat.example.com:3000 https://chat.example.com 1 true"
	if got != want {
		t.Errorf("ParseRequest:\n%s\nwant:\n%s", got, want)
	}
	var rebuilt bytes.Buffer
	for name, value := range r.Headers {
		fmt.Fprintf(&rebuilt, "%s: %s\r\n", name, value)
	}
	if _, fields, _ := strings.Cut(browserHead, "\r\n"); rebuilt.String()+"\r\n" != fields {
		t.Errorf("Headers gives\n%s\nwant\n%s", rebuilt.String(), fields)
	}
}

func TestHeaderIsFoundInAnyCase(t *testing.T) {
	r, err := ParseRequest([]byte("GET / HTTP/1.1\r\nhost:a\r\nX-Two: \t first \t\r\nx-two: second\r\nX-Empty:\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header("X-TWO"); string(got) != "first" {
		t.Errorf("Header(X-TWO) = %q, want the first value, trimmed", got)
	}
	if got := r.Header("X-Empty"); got == nil || len(got) != 0 {
		t.Errorf("Header(X-Empty) = %#v, want empty and not nil", got)
	}
	if got := r.Header("X-None"); got != nil {
		t.Errorf("Header(X-None) = %#v, want nil", got)
	}
	if r.Origin != nil || r.RawQuery != nil {
		t.Errorf("Origin = %#v, RawQuery = %#v, want nil for what was not sent", r.Origin, r.RawQuery)
	}
	if headers := (&Request{}).Header("Host"); headers != nil {
		t.Errorf("Header of the zero Request = %q, want nil", headers)
	}
	for range r.Headers {
		break // must not go on
	}
}

func TestRequestTargets(t *testing.T) {
	tests := []struct{ method, target, path, query, host string }{
		{"GET", "/", "/", "", "example.com"},
		{"GET", "/ws", "/ws", "", "example.com"},
		{"GET", "/ws?", "/ws", "", "example.com"},
		{"GET", "/ws?a=1?b", "/ws", "a=1?b", "example.com"},
		{"GET", "//ws", "//ws", "", "example.com"},
		{"GET", "/a%20b", "/a%20b", "", "example.com"},
		{"GET", "/ws?bad=%zz", "/ws", "bad=%zz", "example.com"},
		{"GET", "http://other.example/ws?a", "/ws", "a", "other.example"},
		{"GET", "WSS://other.example:443/ws", "/ws", "", "other.example:443"},
		{"GET", "http://[::1]:3000/ws", "/ws", "", "[::1]:3000"},
		{"GET", "http://other.example", "/", "", "other.example"},
		{"GET", "http://other.example?a=/", "/", "a=/", "other.example"},
		{"OPTIONS", "*", "*", "", "example.com"},
		{"HEAD", "/ws", "/ws", "", "example.com"},
		{"POST", "/broadcast?key=k", "/broadcast", "key=k", "example.com"},
		{"M-SEARCH", "/x", "/x", "", "example.com"},
	}
	for _, tt := range tests {
		r, err := ParseRequest([]byte(tt.method + " " + tt.target + " HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
			continue
		}
		if string(r.Method) != tt.method || string(r.Path) != tt.path || string(r.RawQuery) != tt.query || string(r.Host) != tt.host {
			t.Errorf("%s %s: path %q, query %q, host %q; want %q, %q, %q", tt.method, tt.target, r.Path, r.RawQuery, r.Host, tt.path, tt.query, tt.host)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	const line, host = "GET / HTTP/1.1\r\n", "Host: a\r\n"
	tests := []struct {
		rule, head string
		status     int
	}{
		{"9112 2.1 nothing", "", 400},
		{"9112 2.1 blank line only", "\r\n", 400},
		{"9112 2.2 blank lines only", "\r\n\r\n", 400},
		{"9112 2.2 two blank lines first", "\r\n\r\n" + line + host + "\r\n", 400},
		{"9112 2.2 a bare LF first", "\n" + line + host + "\r\n", 400},
		{"9112 2.2 a bare CR first", "\r" + line + host + "\r\n", 400},
		{"9112 2.1 no blank line", line + host, 400},
		{"9112 2.1 bytes behind the blank line", line + host + "\r\nx", 400},
		{"9112 2.2 bare LF after the request line", "GET / HTTP/1.1\n" + host + "\r\n", 400},
		{"9112 2.2 bare LF after a header", line + "Host: a\n\r\n", 400},
		{"9112 2.2 bare LF as blank line", line + host + "\n", 400},
		{"9112 2.2 LF first", "\n", 400},
		{"9112 2.2 bare CR in a value", line + host + "A: b\rc\r\n\r\n", 400},
		{"9112 2.2 space before the first header", line + " " + host + "\r\n", 400},
		{"9112 2.3 HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
		{"9112 2.3 HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", 505},
		{"9112 2.3 HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505},
		{"9112 2.3 HTTP/1.9", "GET / HTTP/1.9\r\n" + host + "\r\n", 505},
		{"9112 2.3 HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n", 505},
		{"9112 2.3 other protocol", "GET / SIP/2.0\r\n" + host + "\r\n", 400},
		{"9112 2.3 lower case", "GET / http/1.1\r\n" + host + "\r\n", 400},
		{"9112 2.3 no version", "GET /\r\n" + host + "\r\n", 400},
		{"9112 3 one word", "GET\r\n" + host + "\r\n", 400},
		{"9112 3 two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3 no target", "GET  HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3 space at the end", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
		{"9112 3 tab", "GET\t/\tHTTP/1.1\r\n" + host + "\r\n", 400},
		{"9110 9.1 no method", " / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9110 9.1 bad method", "G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9110 9.1 CR behind the method", "GET\r / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9110 9.1 no method", " / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 control character in the target", "GET /a\x00b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 raw UTF-8 in the target", "GET /é HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 no slash", "GET ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 bad escape in the path", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 cut escape in the path", "GET /%2 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 other scheme", "GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 no authority", "GET http:///ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 port without a host", "GET http://:80/ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 bad port", "GET http://a:b/ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 user name", "GET http://u@a/ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.2 bad address", "GET http://[::x]/ws HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.3 authority form", "CONNECT a:80 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2.4 asterisk with GET", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
		{"9112 3.2 no Host", line + "\r\n", 400},
		{"9112 3.2 two Hosts", line + host + host + "\r\n", 400},
		{"9112 3.2 two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" + host + host + "\r\n", 400},
		{"9112 3.2 Host with a path", line + "Host: a/b\r\n\r\n", 400},
		{"9112 3.2 Host with a user name", line + "Host: u@a\r\n\r\n", 400},
		{"9112 3.2 Host with a list", line + "Host: a b\r\n\r\n", 400},
		{"9112 3.2 Host with two ports", line + "Host: a:1:2\r\n\r\n", 400},
		{"9112 3.2 Host with an open bracket", line + "Host: [::1\r\n\r\n", 400},
		{"9112 3.2 Host with a zone", line + "Host: [fe80::1%25eth0]\r\n\r\n", 400},
		{"9112 5 no colon", line + host + "nonsense\r\n\r\n", 400},
		{"9112 5 no name", line + host + ": x\r\n\r\n", 400},
		{"9112 5 bad name", line + host + "a(b): x\r\n\r\n", 400},
		{"9112 5.1 space before the colon", line + "Host : a\r\n\r\n", 400},
		{"9112 5.1 tab before the colon", line + host + "A\t: b\r\n\r\n", 400},
		{"9112 5.2 folded by a space", line + host + "A: b\r\n c\r\n\r\n", 400},
		{"9112 5.2 folded by a tab", line + host + "A: b\r\n\tc\r\n\r\n", 400},
		{"9110 5.5 NUL in a value", line + host + "A: b\x00c\r\n\r\n", 400},
		{"9110 5.5 DEL in a value", line + host + "A: b\x7fc\r\n\r\n", 400},
		{"9112 6.1 transfer coding other than chunked", line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"9112 6.1 identity", line + host + "Transfer-Encoding: identity\r\n\r\n", 501},
		{"9112 6.1 two transfer codings", line + host + "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400},
		{"9112 6.1 chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"9112 6.3 chunked beside a length", line + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
		{"9112 6.3 two lengths", line + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
		{"9112 6.3 list of lengths", line + host + "Content-Length: 3, 3\r\n\r\n", 400},
		{"9112 6.3 signed length", line + host + "Content-Length: +3\r\n\r\n", 400},
		{"9112 6.3 empty length", line + host + "Content-Length:\r\n\r\n", 400},
		{"9112 6.3 length over 63 bits", line + host + "Content-Length: 9999999999999999999\r\n\r\n", 400},
		{"9110 6.5.1 framing in trailers", line + host + "Trailer: X, content-length\r\n\r\n", 400},
		{"6454 7.3 two Origins", line + host + "Origin: http://a\r\nOrigin: http://b\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got := status(t, tt.head); got != tt.status {
				t.Errorf("ParseRequest(%q) refuses with %d, want %d", tt.head, got, tt.status)
			}
		})
	}
}

func TestParseRequestTakes(t *testing.T) {
	tests := []struct{ rule, head string }{
		{"9112 2.2 a blank line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"9112 3.2 no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"},
		{"9112 3.2 empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
		{"9112 3.2 Host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"},
		{"9112 3.2 address as Host", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:3000\r\n\r\n"},
		{"9112 3.2 underscore in the Host", "GET / HTTP/1.1\r\nHost: my_service\r\n\r\n"},
		{"9110 5.5 tab and obs-text in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\xe9\r\n\r\n"},
		{"9112 6.1 chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"},
		{"9112 6.2 length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"},
		{"9110 6.5.1 trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"},
		{"9110 5.1 names near the known ones", "GET / HTTP/1.1\r\nHost: a\r\nHosT1: x\r\nXost: x\r\nTransfer-Encodinq: x\r\nContent-Lengtx: x\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got := status(t, tt.head); got != 0 {
				t.Errorf("ParseRequest(%q) refuses with %d", tt.head, got)
			}
		})
	}
}

func TestSpoiltHeadsAreRefusedOrReadAsNetHTTPReadsThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(9112, 1))
	spoils := []string{"", " ", "\t", "\r", "\n", "\r\n", "\r\n ", ":", "::", "/", "//", "?", "%", "%2", "%zz", "#", "@", "[", "]", ",", ";", "*", "\x00", "\x7f", "\xe9",
		"HTTP/1.0", "http://", "chunked", "Host", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Trailer: Host, Trailer\r\n", "0", "GET"}
	heads := []string{browserHead, get(hostLine, upLine, connLine, keyLine, versionLine),
		"POST /broadcast?key=k HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\nTrailer: X\r\n\r\n",
		"GET http://[2001:db8::1]:80/ws?a=b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n"}
	for i := range 20_000 {
		head := heads[i%len(heads)]
		for range 1 + rng.IntN(2) {
			at := rng.IntN(len(head))
			head = head[:at] + spoils[rng.IntN(len(spoils))] + head[min(at+rng.IntN(3), len(head)):]
		}
		checkHead(t, []byte(head))
	}
}

// What JudgeStart refuses in part of a head, ParseRequest refuses in the whole head,
// with the same error.
func TestJudgeStart(t *testing.T) {
	for _, c := range []struct {
		head   string
		status int
	}{
		{"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"BREW-32 http://a/pot?x HTTP/1.0\r\n\r\n", 0},
		{"\x16\x03\x01\x02\x00", 400},
		{"GET /ws HTTP/1.1\nHost: a\n\n", 400},
		{"GARBAGE\r\n", 400},
		{"POST#/broadcast HTTP/1.1\r\n\r\n", 400},
		{"G(T /ws HTTP/1.1\nHost: a\n\n", 400},
		{"GET /ws HTTP/9.9\r\n", 505},
		{"\r\nGET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"\r\n\r\nGET /ws HTTP/1.1\r\n", 400},
		{"\n", 400},
		{"\rGET", 400},
	} {
		got := 0
		for n := range len(c.head) + 1 {
			err := JudgeStart([]byte(c.head[:n]), n-1)
			if again := JudgeStart([]byte(c.head[:n]), 0); again != err {
				t.Errorf("JudgeStart(%q): %v from the start, %v when all but a byte has been judged", c.head[:n], again, err)
			}
			if err != nil {
				got = err.(*HandshakeError).Status
				if _, whole := ParseRequest([]byte(c.head)); whole != err {
					t.Errorf("JudgeStart(%q) = %v, and ParseRequest of the whole %v", c.head[:n], err, whole)
				}
				break
			}
		}
		if got != c.status {
			t.Errorf("JudgeStart of %q piece by piece: status %d, want %d", c.head, got, c.status)
		}
	}
}
