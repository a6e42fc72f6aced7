package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// rfcAccept is the answer to the key of RFC 6455, section 1.3.
const rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// The lines of a plain upgrade, to be changed one at a time.
const (
	hostLine    = "Host: server.example.com\r\n"
	upLine      = "Upgrade: websocket\r\n"
	connLine    = "Connection: Upgrade\r\n"
	keyLine     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	versionLine = "Sec-WebSocket-Version: 13\r\n"
)

func get(lines ...string) string {
	return "GET /chat HTTP/1.1\r\n" + strings.Join(lines, "") + "\r\n"
}

// upgrade parses head and appends the response to "before".
func upgrade(t *testing.T, head string) (response string, err error) {
	t.Helper()
	r, err := ParseRequest([]byte(head))
	if err != nil {
		t.Fatalf("ParseRequest(%q): %v", head, err)
	}
	kept := []byte(head)
	out, err := AppendUpgrade([]byte("before"), &r, kept)
	if string(kept) != head {
		t.Errorf("AppendUpgrade changed the head it was given")
	}
	rest, ok := strings.CutPrefix(string(out), "before")
	if !ok || err != nil && rest != "" {
		t.Fatalf("AppendUpgrade(before, ...) = %q, %v", out, err)
	}
	return rest, err
}

func TestUpgradeIsAnswered(t *testing.T) {
	tests := []struct{ rule, head string }{
		{"1.3 the example", get(hostLine, upLine, connLine, keyLine, versionLine)},
		{"4.2.1 a browser", browserHead},
		{"4.2.1 names and tokens in any case", get("hOST: a\r\n", "upGRADE: WebSocket\r\n", "connection: uPgRaDe\r\n", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "SEC-WEBSOCKET-VERSION: 13\r\n")},
		{"4.2.1 no white space", strings.ReplaceAll(get(hostLine, upLine, connLine, keyLine, versionLine), ": ", ":")},
		{"4.2.1 white space around values", strings.ReplaceAll(get(hostLine, upLine, connLine, keyLine, versionLine), ": ", ":\t \t")},
		{"9110 7.8 list in Upgrade", get(hostLine, "Upgrade: h2c, websocket\r\n", connLine, keyLine, versionLine)},
		{"9110 5.3 Upgrade in two lines", get(hostLine, "Upgrade: h2c\r\n", upLine, connLine, keyLine, versionLine)},
		{"9110 5.3 Upgrade said twice", get(hostLine, upLine, upLine, connLine, keyLine, versionLine)},
		{"9110 5.3 Connection in two lines", get(hostLine, upLine, "Connection: keep-alive\r\n", connLine, keyLine, versionLine)},
		{"9110 5.6.1 empty list elements", get(hostLine, upLine, "Connection: , ,Upgrade,\r\n", keyLine, versionLine)},
		{"9110 5.6.1 odd list elements", get(hostLine, upLine, "Connection: a b, (, upgrade\r\n", keyLine, versionLine)},
		{"9112 6.2 a length of zero", get(hostLine, upLine, connLine, keyLine, versionLine, "Content-Length: 00\r\n")},
		{"9112 3.2.2 absolute form", strings.Replace(get(hostLine, upLine, connLine, keyLine, versionLine), "/chat", "http://a/chat", 1)},
		{"4.2.2 subprotocols are not invented", get(hostLine, upLine, connLine, keyLine, versionLine, "Sec-WebSocket-Protocol: chat, superchat\r\n")},
		{"4.2.2 odd subprotocols are no error", get(hostLine, upLine, connLine, keyLine, versionLine, "Sec-WebSocket-Protocol: ,;(\r\n")},
		{"9.1 bad extension offers are no error", get(hostLine, upLine, connLine, keyLine, versionLine, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99;;\r\n")},
		{"a line that fills the head", get(hostLine, upLine, connLine, keyLine, versionLine, "X: "+strings.Repeat("x", 7900)+"\r\n")},
	}
	const want = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n\r\n"
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if got, err := upgrade(t, tt.head); got != want || err != nil {
				t.Errorf("AppendUpgrade: %v\n%q\nwant\n%q", err, got, want)
			}
		})
	}
}

func TestUpgradeIsRefused(t *testing.T) {
	key := func(value string) string { return "Sec-WebSocket-Key: " + value + "\r\n" }
	tests := []struct {
		rule, head string
		status     int
	}{
		{"4.2.1 POST", strings.Replace(get(hostLine, upLine, connLine, keyLine, versionLine), "GET", "POST", 1), 405},
		{"4.2.1 HTTP/1.0", strings.Replace(get(hostLine, upLine, connLine, keyLine, versionLine), "/1.1", "/1.0", 1), 505},
		{"4.2.1 no Upgrade", get(hostLine, connLine, keyLine, versionLine), 426},
		{"4.2.1 other Upgrade", get(hostLine, "Upgrade: h2c\r\n", connLine, keyLine, versionLine), 426},
		{"4.2.1 no Connection", get(hostLine, upLine, keyLine, versionLine), 426},
		{"4.2.1 Connection without the token", get(hostLine, upLine, "Connection: keep-alive, upgrades\r\n", keyLine, versionLine), 426},
		{"4.4 no version", get(hostLine, upLine, connLine, keyLine), 426},
		{"4.4 version 8", get(hostLine, upLine, connLine, keyLine, "Sec-WebSocket-Version: 8\r\n"), 426},
		{"4.4 list of versions", get(hostLine, upLine, connLine, keyLine, "Sec-WebSocket-Version: 13, 8\r\n"), 426},
		{"11.3.5 two versions", get(hostLine, upLine, connLine, keyLine, versionLine, versionLine), 400},
		{"4.2.1 no key", get(hostLine, upLine, connLine, versionLine), 400},
		{"11.3.1 two keys", get(hostLine, upLine, connLine, keyLine, keyLine, versionLine), 400},
		{"4.2.1 empty key", get(hostLine, upLine, connLine, key(""), versionLine), 400},
		{"4.2.1 key of 15 bytes", get(hostLine, upLine, connLine, key("MTIzNDU2Nzg5MDEyMzQ1"), versionLine), 400},
		{"4.2.1 key of 17 bytes", get(hostLine, upLine, connLine, key("MTIzNDU2Nzg5MDEyMzQ1Njc="), versionLine), 400},
		{"4.2.1 key of 18 bytes", get(hostLine, upLine, connLine, key("MTIzNDU2Nzg5MDEyMzQ1Njc4"), versionLine), 400},
		{"4.2.1 key that is not base64", get(hostLine, upLine, connLine, key("dGhlIHNhbXBsZSBub25jZ!=="), versionLine), 400},
		{"4.2.1 key in the URL alphabet", get(hostLine, upLine, connLine, key("_-hlIHNhbXBsZSBub25jZQ=="), versionLine), 400},
		{"9112 6.2 a body by length", get(hostLine, upLine, connLine, keyLine, versionLine, "Content-Length: 5\r\n"), 400},
		{"9112 6.1 a chunked body", get(hostLine, upLine, connLine, keyLine, versionLine, "Transfer-Encoding: chunked\r\n"), 400},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if _, err := upgrade(t, tt.head); refusal(t, err) != tt.status {
				t.Errorf("AppendUpgrade: %v, want status %d", err, tt.status)
			}
		})
	}
}

func TestWhatTheUpgraderRefusesIsRefused(t *testing.T) {
	r, err := ParseRequest([]byte(browserHead))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AppendUpgrade(nil, &r, []byte("GET / HTTP/1.1\r\n\r\n")); err != error(errUpgrader) {
		t.Errorf("AppendUpgrade with another head: %v, want %v", err, errUpgrader)
	}
}

func TestIsUpgradeNeedsGetAndBothTokens(t *testing.T) {
	tests := []struct {
		head string
		want bool
	}{
		{get(hostLine, upLine, connLine), true},
		{get(hostLine, upLine), false},
		{get(hostLine, connLine), false},
		{get(hostLine), false},
		{strings.Replace(get(hostLine, upLine, connLine), "GET", "HEAD", 1), false},
		{strings.Replace(get(hostLine, upLine, connLine), "GET", "get", 1), false},
	}
	for _, tt := range tests {
		r, err := ParseRequest([]byte(tt.head))
		if err != nil || r.IsUpgrade() != tt.want {
			t.Errorf("%q: IsUpgrade() = %t, %v; want %t", tt.head, r.IsUpgrade(), err, tt.want)
		}
	}
}

func TestResponsesAreReadByAnHTTPClient(t *testing.T) {
	tests := []struct {
		status  int
		headers string
		body    string
	}{
		{426, errOldVersion.ExtraHeaders(), "wsify speaks WebSocket\n"},
		{503, "Retry-After: 5\r\n", "busy"},
		{403, errHost.ExtraHeaders(), ""},
		{299, "", "a status without a phrase"},
	}
	for _, tt := range tests {
		raw := AppendResponse([]byte("before"), tt.status, tt.headers, tt.body)
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("before")))), nil)
		if err != nil {
			t.Fatalf("%d: %v\n%q", tt.status, err, raw)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != tt.body || res.StatusCode != tt.status || res.ContentLength != int64(len(tt.body)) || !res.Close {
			t.Errorf("%d: status %d, length %d, close %t, body %q, %v", tt.status, res.StatusCode, res.ContentLength, res.Close, body, err)
		}
		if got := res.Header.Get("Content-Type"); tt.body != "" && got != "text/plain; charset=utf-8" {
			t.Errorf("%d: Content-Type is %q", tt.status, got)
		}
		if got := res.Header.Get("Sec-WebSocket-Version"); (got == "13") != (tt.status == 426) {
			t.Errorf("%d: Sec-WebSocket-Version is %q", tt.status, got)
		}
	}
}
