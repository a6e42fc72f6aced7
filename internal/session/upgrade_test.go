package session

import (
	"fmt"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// TestUpgradeRefusals: an invalid upgrade gets an answer with a reason, and the
// connection ends.
func TestUpgradeRefusals(t *testing.T) {
	srv := start(t, Config{})
	without := func(line string) string { return strings.Replace(upgradeHead("/ws"), line+"\r\n", "", 1) }
	for _, c := range []struct {
		name, head string
		want       int
	}{
		{"a plain GET", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426},
		{"a POST", "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 426},
		{"an upgrade to something else", strings.Replace(upgradeHead("/ws"), "websocket", "h2c", 1), 426},
		{"version 8", strings.Replace(upgradeHead("/ws"), "Version: 13", "Version: 8", 1), 426},
		{"no key", without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"a short key", strings.Replace(upgradeHead("/ws"), "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 1), 400},
		{"two keys", upgradeHead("/ws", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"no Host", without("Host: example.com"), 400},
		{"no request at all", "hello\r\n\r\n", 400},
		{"a bare line feed", "GET /ws HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"a folded header", upgradeHead("/ws", "X-A: b", " c"), 400},
		{"HTTP/2", strings.Replace(upgradeHead("/ws"), "HTTP/1.1", "HTTP/2.0", 1), 505},
		{"a head over 16 KiB", upgradeHead("/ws", "X-A: "+strings.Repeat("x", 16<<10)), 431},
		{"16 KiB without an end", "GET /ws HTTP/1.1\r\nX-A: " + strings.Repeat("x", 16<<10), 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, srv)
			p.write(c.head)
			res := p.expectStatus(c.want)
			if !res.close || res.body == "" {
				t.Errorf("got %+v, want a reason and Connection: close", res)
			}
			if help := c.name == "a plain GET"; help && !(strings.Contains(res.body, "new WebSocket(") && strings.Contains(res.body, "wscat -c")) {
				t.Errorf("body %q does not say to a person with a browser or curl how to connect", res.body)
			}
			if c.want == 426 && res.header.Get("Upgrade") != "websocket" {
				t.Errorf("Upgrade: %q, want websocket", res.header.Get("Upgrade"))
			}
			p.expectEnd()
		})
	}
	testtool.Until(t, "all are counted as rejected", func() bool {
		st := srv.Stats()
		return total(st.Rejected) == st.Accepted && st.Upgraded == 0
	})
}

// TestHeadOfExactlyTheLimitIsTaken: the operator's limit applies.
func TestHeadOfExactlyTheLimitIsTaken(t *testing.T) {
	const most = 20000 // the cookies of a single sign-on need more than 8 KiB
	srv := start(t, Config{MaxHeadSize: most})
	room := most - len(upgradeHead("/ws", "X-A: "))
	connect(t, srv, "/ws", "X-A: "+strings.Repeat("x", room)).usable()
	p := dial(t, srv)
	p.write(upgradeHead("/ws", "X-A: "+strings.Repeat("x", room+1)))
	p.expectStatus(431)
}

// TestHandshakeTimeout: a head that is not finished in time ends the connection, at
// whatever byte it stops. A session that began in time continues.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	srv, early := dialBeforeHaste(t, Config{PingInterval: -1}, 1)
	open := early[0]
	open.write(upgradeHead("/ws"))
	open.expectUpgrade()
	var late []*peer
	for _, part := range []string{"", "G", "GET /ws HTTP/1.1\r\n", strings.TrimSuffix(upgradeHead("/ws"), "\n")} {
		p := dial(t, srv)
		p.write(part)
		late = append(late, p)
	}
	for _, p := range late {
		p.expectStatus(408)
		p.expectEnd()
	}
	testtool.Until(t, "four timeouts are counted", func() bool { return srv.Stats().Closed["handshake_timeout"] == 4 })
	open.usable()
}

// TestFramesBehindTheHead: a client may send frames right after the head. They are
// handled in order, also if they arrive during the authorizer's call.
func TestFramesBehindTheHead(t *testing.T) {
	hook := newWebhook(t, nil)
	for name, cfg := range map[string]Config{"no authorizer": {}, "authorizer": {AuthorizerURL: hook.URL}} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, cfg)
			frames := message(`{"command":"join","args":{"channel":"c"},"id":1}`) +
				message(`{"command":"broadcast","args":{"channel":"c","content":"`+strings.Repeat("x", 20<<10)+`"}}`) +
				message(`{"command":"leave","args":{"channel":"c"},"id":2}`) + closing(1000, "")
			for _, cut := range []int{0, 1, 7, len(frames)/2 - 1, len(frames)} {
				release := func() {}
				if cfg.AuthorizerURL != "" {
					release = hook.hold(is("connect"))
				}
				asked := len(hook.questions("connect"))
				p := dial(t, srv)
				p.write(upgradeHead("/ws") + frames[:cut])
				if cfg.AuthorizerURL != "" {
					hook.awaitQuestions(asked+1, "connect")
				}
				p.write(frames[cut:])
				release()
				p.expectUpgrade()
				p.expectText(`{"id":1,"ok":true}`, `"`+strings.Repeat("x", 20<<10)+`"`, `{"id":2,"ok":true}`)
				p.expectClose(1000)
			}
		})
	}
}

// TestOrigins: -allowed-origins is checked at the upgrade.
func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            int
	}{
		{"", "https://any.example", 101},
		{"*", "https://any.example", 101},
		{"https://example.com", "https://example.com", 101},
		{"https://example.com", "HTTPS://EXAMPLE.com", 101},
		{"https://example.com", "https://example.com:443", 101}, // from clients that are not browsers
		{"https://example.com:443", "https://example.com", 101},
		{"wss://example.com", "WSS://example.com:443", 101},
		{"wss://example.com", "https://example.com", 101}, // the operator listed the address that clients connect to
		{"ws://*.example.com", "http://a.example.com", 101},
		{"https://example.com", "wss://example.com", 101},
		{"https://*.example.com", "wss://a.example.com:443", 101},
		{"https://example.com", "ws://example.com", 403},
		{"ws://example.com", "https://example.com", 403},
		{"http://[::1]:80", "http://[::1]", 101},
		{"https://*.example.com:443", "https://a.example.com", 101},
		{"https://*.example.com", "https://a.example.com:443", 101},
		{"https://example.com", "https://example.com:80", 403},
		{"http://example.com:443", "http://example.com", 403},
		{"https://example.com", "", 101}, // not a page
		{"https://example.com", "http://example.com", 403},
		{"https://example.com", "https://example.com:8443", 403},
		{"https://example.com", "https://example.com.evil.test", 403},
		{"https://example.com", "null", 403},
		{"https://a.test,https://example.com", "https://example.com", 101},
		{"https://*.example.com", "https://a.example.com", 101},
		{"https://*.example.com", "https://a.b.example.com", 101},
		{"https://*.example.com", "https://example.com", 403},
		{"https://*.example.com", "https://.example.com", 403},
		{"https://*.example.com", "https://evilexample.com", 403},
		{"https://*.example.com", "https://evil.test/.example.com", 403},
		{"https://*.example.com", "https://evil.test#.example.com", 403},
		{"https://*.example.com", "http://a.example.com", 403},
		{"null", "null", 101},
		{"self", "", 101},
		{"self", "https://example.com", 101}, // upgradeHead connects to example.com
		{"self", "http://EXAMPLE.com:80", 101},
		{"self", "https://example.com:8443", 403},
		{"self", "https://other.test", 403},
		{"https://a.test,self", "https://a.test", 101},
		{"https://a.test,self", "https://example.com", 101},
	} {
		t.Run(c.allowed+" "+c.origin, func(t *testing.T) {
			var cfg Config
			if c.allowed != "" {
				cfg.AllowedOrigins = strings.Split(c.allowed, ",")
			}
			var headers []string
			if c.origin != "" {
				headers = []string{"Origin: " + c.origin}
			}
			p := dial(t, start(t, cfg))
			p.write(upgradeHead("/ws", headers...))
			p.expectStatus(c.want)
		})
	}
}

func TestTheHostOfAnOriginIsThatOfTheServer(t *testing.T) {
	for _, c := range []struct {
		origin, host string
		want         bool
	}{
		{"https://example.com", "example.com", true},
		{"http://example.com", "example.com", true},
		{"wss://example.com", "example.com", true},
		{"ws://example.com", "example.com:80", true},
		{"ws://example.com", "example.com:443", false},
		{"wss://example.com:3000", "example.com:3000", true},
		{"https://example.com", "example.com:443", true},
		{"https://example.com:443", "example.com", true},
		{"http://example.com:80", "example.com", true},
		{"http://example.com:3000", "example.com:3000", true},
		{"HTTPS://Example.COM", "eXample.com", true},
		{"http://[::1]:3000", "[::1]:3000", true},
		{"https://[::1]", "[::1]", true},
		{"http://localhost", "localhost:80", true},
		{"https://example.com", "example.com:80", false},
		{"http://example.com", "example.com:443", false},
		{"http://example.com:443", "example.com", false},
		{"https://example.com:8443", "example.com", false},
		{"https://example.com", "example.com:8443", false},
		{"https://a.example.com", "example.com", false},
		{"https://example.com.evil.test", "example.com", false},
		{"https://example.com/", "example.com", false},
		{"https://user@example.com", "example.com", false},
		{"ftp://example.com", "example.com", false},
		{"null", "null", false},
		{"example.com", "example.com", false},
		{"https://", "", false},
		{"https://:443", "", false},
		{"https://", ":443", false},
		{"https", "", false},
	} {
		o := newOrigins([]string{"self"})
		if got := o.allow([]byte(c.origin), []byte(c.host)); got != c.want {
			t.Errorf("origin %s, connected to %s: allowed %t, want %t", c.origin, c.host, got, c.want)
		}
	}
}

// TestUpgradeOfAnotherSpellingOfWS: only /ws itself is accepted, not a path that normalizes to it.
func TestUpgradeOfAnotherSpellingOfWS(t *testing.T) {
	srv := start(t, Config{})
	for _, target := range []string{"//ws", "/%77s", "/./ws", "/x/../ws", "/ws/", "/"} {
		p := dial(t, srv)
		p.write(upgradeHead(target))
		p.expectStatus(404)
	}
	if got := srv.Stats().Rejected["not_found"]; got != 6 {
		t.Errorf("%d of 6 connections refused with not_found", got)
	}
	connect(t, srv, "http://example.com/ws").usable() // the absolute form; RFC 9112, section 3.2.2
}

// TestUpgradeBehindAPost: a proxy may upgrade on a connection that it has used for
// another request.
func TestUpgradeBehindAPost(t *testing.T) {
	srv := start(t, Config{AllowedOrigins: []string{"https://a.test"}})
	p := dial(t, srv)
	p.write(postRequest("/broadcast", `{"channel":"c","content":1}`))
	p.expectStatus(201)
	p.write(upgradeHead("/ws", "Origin: https://a.test"))
	p.expectUpgrade()
	p.usable()

	p = dial(t, srv)
	p.write(postRequest("/broadcast", `{"channel":"c","content":1}`))
	p.expectStatus(201)
	p.write("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
	if res := p.expectStatus(426); !strings.Contains(res.body, "new WebSocket(") {
		t.Errorf("body %q does not say how to connect", res.body)
	}
	p.expectEnd()

	p = dial(t, srv)
	p.write(postRequest("/broadcast", `{"channel":"c","content":1}`))
	p.expectStatus(201)
	p.write(upgradeHead("/ws", "Origin: https://b.test"))
	p.expectStatus(403)
	p.expectEnd()
}

// TestEverythingInOneWrite: a POST, an upgrade after it, and more frames than fit in
// one read. No byte may be lost between them.
func TestEverythingInOneWrite(t *testing.T) {
	srv := start(t, Config{})
	for _, size := range []int{10, 7 << 10, 9 << 10, 30 << 10, 60 << 10, 200 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			text := func(i int) string { return `"` + strings.Repeat(string(rune('a'+i%26)), 300) + `"` }
			all := postRequest("/broadcast", `{"channel":"x","content":1}`) + upgradeHead("/ws") +
				message(`{"command":"join","args":{"channel":"c"},"id":1}`)
			n := 0
			for ; len(all) < size; n++ {
				all += message(`{"command":"broadcast","args":{"channel":"c","content":` + text(n) + `}}`)
			}
			p := dial(t, srv)
			p.write(all)
			p.expectStatus(201)
			p.expectUpgrade()
			p.expectText(`{"id":1,"ok":true}`)
			for i := range n {
				p.expectText(text(i))
			}
			p.usable()
		})
	}
}
