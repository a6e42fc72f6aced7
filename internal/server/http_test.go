package server

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUpgradeRefusals: what is not a good upgrade is told so, and the connection
// ends.
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
		{"a head over 8 KiB", upgradeHead("/ws", "X-A: "+strings.Repeat("x", 8<<10)), 431},
		{"8 KiB without an end", "GET /ws HTTP/1.1\r\nX-A: " + strings.Repeat("x", 8<<10), 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, srv)
			p.write(c.head)
			res := p.expectStatus(c.want)
			if !res.close || res.body == "" {
				t.Errorf("got %+v, want a reason, and the announcement that the connection ends", res)
			}
			if c.want == 426 && res.header.Get("Upgrade") != "websocket" {
				t.Errorf("Upgrade: %q, want websocket", res.header.Get("Upgrade"))
			}
			p.expectEnd()
		})
	}
	st := srv.Stats()
	if st.Rejected != st.Accepted || st.Upgraded != 0 {
		t.Errorf("accepted %d, rejected %d, upgraded %d; want all rejected", st.Accepted, st.Rejected, st.Upgraded)
	}
}

// TestNotAnUpgradeSaysHowToConnect is what a person with a browser or curl sees.
func TestNotAnUpgradeSaysHowToConnect(t *testing.T) {
	p := dial(t, start(t, Config{}))
	p.write("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
	if res := p.expectStatus(426); !strings.Contains(res.body, "new WebSocket(") || !strings.Contains(res.body, "wscat -c") {
		t.Errorf("body %q does not say how to connect", res.body)
	}
}

// TestHeadOfExactly8KiBIsTaken: the limit itself is still good.
func TestHeadOfExactly8KiBIsTaken(t *testing.T) {
	srv := start(t, Config{})
	room := 8<<10 - len(upgradeHead("/ws", "X-A: "))
	connect(t, srv, "/ws", "X-A: "+strings.Repeat("x", room)).usable()
	p := dial(t, srv)
	p.write(upgradeHead("/ws", "X-A: "+strings.Repeat("x", room+1)))
	p.expectStatus(431)
}

// TestHandshakeTimeout: a head that is not finished in time ends the connection,
// at whatever byte it stopped; a session that began in time goes on.
func TestHandshakeTimeout(t *testing.T) {
	srv := start(t, Config{HandshakeTimeout: 40 * time.Millisecond, PingInterval: -1})
	open := connect(t, srv, "/ws")
	for _, part := range []string{"", "G", "GET /ws HTTP/1.1\r\n", strings.TrimSuffix(upgradeHead("/ws"), "\n")} {
		p := dial(t, srv)
		p.write(part)
		p.expectStatus(408)
		p.expectEnd()
	}
	waitFor(t, "four timeouts are counted", func() bool { return srv.Stats().Closed["handshake_timeout"] == 4 })
	open.usable()
}

// TestHeadInSingleBytes: pieces of any size make a head, and frames behind it that
// come with its last byte are handled.
func TestHeadInSingleBytes(t *testing.T) {
	p := dial(t, start(t, Config{}))
	head := upgradeHead("/ws")
	for i := range len(head) - 1 {
		p.write(head[i : i+1])
	}
	p.write(head[len(head)-1:] + message(`{"command":"join","args":{"channel":"c"},"id":1}`))
	p.expectUpgrade()
	p.expectText(`{"id":1,"ok":true}`)
}

// TestFramesBehindTheHead: a client may send frames at once; they are handled in
// order, also while the authorizer is asked about the upgrade.
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
		{"https://example.com", "", 101}, // no page
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

// TestBroadcastStatuses is the table of answers to /broadcast, each on one
// connection that is kept, and each with the CORS header.
func TestBroadcastStatuses(t *testing.T) {
	srv := start(t, Config{BroadcastingKey: "k&y", MaxMessageSize: 100})
	member := connect(t, srv, "/ws")
	member.join("c")
	p := dial(t, srv)
	const good = `{"channel":"c","content":1}`
	padded := good + strings.Repeat(" ", 100-len(good))
	request := func(method, rest string) string {
		return method + " /broadcast?key=k%26y HTTP/1.1\r\nHost: a\r\n" + rest + "\r\n"
	}
	heard := 0
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"good", postRequest("/broadcast?key=k%26y", good), 201},
		{"as large as may be", postRequest("/broadcast?key=k%26y", padded), 201},
		{"bearer", postRequest("/broadcast", good, "Authorization: Bearer k&y"), 201},
		{"bearer in other letters", postRequest("/broadcast", good, "authorization: BEARER k&y"), 201},
		{"charset", postRequest("/broadcast?key=k%26y", good, "Content-Type: Application/JSON; Charset=UTF-8"), 201},
		{"chunked", request("POST", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n") + "5\r\n" + good[:5] + "\r\n16\r\n" + good[5:] + "\r\n0\r\n\r\n", 201},
		{"no key", postRequest("/broadcast", good), 403},
		{"wrong key", postRequest("/broadcast?key=K%26Y", good), 403},
		{"empty key", postRequest("/broadcast?key=", good, "Authorization: Bearer "), 403},
		{"another scheme", postRequest("/broadcast", good, "Authorization: Basic k&y"), 403},
		{"no type", request("POST", "Content-Length: 2\r\n") + "{}", 415},
		{"a form", postRequest("/broadcast?key=k%26y", good, "Content-Type: application/x-www-form-urlencoded"), 415},
		{"nearly the type", postRequest("/broadcast?key=k%26y", good, "Content-Type: application/jsonx"), 415},
		{"empty body", postRequest("/broadcast?key=k%26y", ""), 400},
		{"broken body", postRequest("/broadcast?key=k%26y", good+"}"), 400},
		{"no channel", postRequest("/broadcast?key=k%26y", `{"content":1}`), 400},
		{"GET", request("GET", ""), 405},
		{"PUT", request("PUT", "Content-Type: application/json\r\nContent-Length: 2\r\n") + "{}", 405},
		{"DELETE", request("DELETE", ""), 405},
		{"preflight", request("OPTIONS", "Origin: https://a.test\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"), 204},
		{"good again", postRequest("/broadcast?key=k%26y", good), 201},
		{"too large", postRequest("/broadcast?key=k%26y", padded+" "), 413}, // ends the connection
	} {
		p.write(c.request)
		res := p.response()
		if res.status != c.want || res.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %q, CORS header %q; want %d and *", c.name, res.status, res.body, res.header.Get("Access-Control-Allow-Origin"), c.want)
		}
		switch {
		case res.status == 201:
			heard++
			member.expectText("1")
			fallthrough
		case res.status == 204:
			if res.body != "" {
				t.Errorf("%s: body %q, want none", c.name, res.body)
			}
		case res.body == "":
			t.Errorf("%s: no body says why", c.name)
		}
		if c.want == 405 && res.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: Allow: %q, want POST, OPTIONS", c.name, res.header.Get("Allow"))
		}
		if c.want == 204 && (!strings.Contains(res.header.Get("Access-Control-Allow-Methods"), "POST") ||
			!strings.Contains(res.header.Get("Access-Control-Allow-Headers"), "Content-Type")) {
			t.Errorf("%s: %v does not allow POST with Content-Type", c.name, res.header)
		}
	}
	p.expectEnd()
	member.expectNothing()
	if st := srv.Stats(); st.HandedOff != 1 || st.Broadcasts["http"] != uint64(heard) {
		t.Errorf("%d connections handed off, %v; want 1, and %d by http", st.HandedOff, st.Broadcasts, heard)
	}
}

// TestBodyTooLarge: 413 for a length that is announced and for one that is not.
func TestBodyTooLarge(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 1 << 10})
	if res := post(t, srv, "/broadcast", strings.Repeat(" ", 1<<20)); res.status != 413 {
		t.Errorf("1 MiB: %d, want 413", res.status)
	}
	p := dial(t, srv)
	p.write("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"401\r\n" + strings.Repeat(" ", 0x401) + "\r\n0\r\n\r\n")
	p.expectStatus(413)
	p.expectEnd()
	p = dial(t, srv)
	p.write("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n")
	p.expectStatus(400)
	p.expectEnd()
}

// TestNotFound: this server has two paths, compared as they are written.
func TestNotFound(t *testing.T) {
	srv := start(t, Config{})
	for _, target := range []string{"/", "/w", "/ws/", "/wss", "/WS", "/healthz", "/broadcast/"} {
		p := dial(t, srv)
		p.write("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		p.expectStatus(404)
	}
}

// TestUpgradeOfAnotherSpellingOfWS: a path that only normalizes to /ws is not /ws.
// Passing it from the HTTP server to the loops and back would never end.
func TestUpgradeOfAnotherSpellingOfWS(t *testing.T) {
	srv := start(t, Config{})
	for _, target := range []string{"//ws", "/%77s", "/./ws", "/x/../ws", "/ws/", "/"} {
		p := dial(t, srv)
		p.write(upgradeHead(target))
		p.expectStatus(404)
	}
	if st := srv.Stats(); st.HandedOff != 6 {
		t.Errorf("%d hand-offs of 6 connections", st.HandedOff)
	}
	connect(t, srv, "http://example.com/ws").usable() // the absolute form; RFC 9112, section 3.2.2
}

// TestLoopbackRule: without a key, only direct peers on this machine may publish.
func TestLoopbackRule(t *testing.T) {
	const body = `{"channel":"c","content":1}`
	closed, log := startLogged(t, Config{})
	anyone, openLog := startLogged(t, Config{BroadcastOpen: true})
	if res := post(t, closed, "/broadcast", body); res.status != 201 {
		t.Errorf("from loopback: %d %q, want 201", res.status, res.body)
	}
	for _, header := range []string{
		"Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 127.0.0.1", "X-Forwarded-For:", "X-Forwarded-Host: a",
		"X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.1", "Via: 1.1 proxy", "CF-Connecting-IP: 192.0.2.1", "True-Client-IP: 192.0.2.1", "X-Client-IP: 192.0.2.1",
	} {
		res := post(t, closed, "/broadcast", body, header)
		if res.status != 403 || !strings.Contains(res.body, "-broadcasting-key") || !strings.Contains(res.body, "-broadcast-open") {
			t.Errorf("with %s: %d %q, want 403 and what to set", header, res.status, res.body)
		}
		if res := post(t, anyone, "/broadcast", body, header); res.status != 201 {
			t.Errorf("-broadcast-open with %s: %d %q, want 201", header, res.status, res.body)
		}
	}
	for what, book := range map[string]*logBook{"admits only direct loopback peers": log, "open to everyone": openLog} {
		if !strings.Contains(book.String(), "level=WARN") || !strings.Contains(book.String(), what) {
			t.Errorf("no warning %q in the log:\n%s", what, book)
		}
	}
}

// TestLoopbackRuleForRemotePeers connects from an address that is not loopback.
func TestLoopbackRuleForRemotePeers(t *testing.T) {
	addr := outsideAddr(t)
	const body = `{"channel":"c","content":1}`
	for _, c := range []struct {
		name    string
		cfg     Config
		headers []string
		want    int
	}{
		{"without a key", Config{}, nil, 403},
		{"without a key, claiming to be local", Config{}, []string{"X-Forwarded-For: 127.0.0.1"}, 403},
		{"-broadcast-open", Config{BroadcastOpen: true}, nil, 201},
		{"with the key", Config{BroadcastingKey: "k"}, []string{"Authorization: Bearer k"}, 201},
		{"a key, and -broadcast-open", Config{BroadcastingKey: "k", BroadcastOpen: true}, nil, 403},
	} {
		c.cfg.ListenAddr = net.JoinHostPort(addr, "0")
		if res := post(t, start(t, c.cfg), "/broadcast", body, c.headers...); res.status != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, res.status, res.body, c.want)
		}
	}
}

// outsideAddr is an address of this machine that is not loopback.
func outsideAddr(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// TestTrickledBody: a body may come byte by byte, in chunks or not.
func TestTrickledBody(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	p := dial(t, srv)
	for _, request := range []string{
		postRequest("/broadcast", `{"channel":"c","content":"counted"}`),
		"POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"8\r\n{\"channe\r\n1B;ext=1\r\nl\":\"c\",\"content\":\"counted\"}\r\n0\r\nTrailer-A: b\r\n\r\n",
	} {
		for i := range len(request) {
			p.write(request[i : i+1])
		}
		p.expectStatus(201)
		member.expectText(`"counted"`)
	}
}

// TestPipelinedRequests: requests may follow each other at once, and are answered
// in order.
func TestPipelinedRequests(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	var all strings.Builder
	for i := range 50 {
		all.WriteString(postRequest("/broadcast", fmt.Sprintf(`{"channel":"c","content":%d}`, i)))
		all.WriteString("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	p := dial(t, srv)
	p.write(all.String())
	for i := range 50 {
		p.expectStatus(201)
		p.expectStatus(404)
		member.expectText(fmt.Sprint(i))
	}
}

// TestExpectContinue: a client that asks before it sends the body is told to go on,
// or why not.
func TestExpectContinue(t *testing.T) {
	srv := start(t, Config{BroadcastingKey: "k", MaxMessageSize: 100})
	member := connect(t, srv, "/ws")
	member.join("c")
	const body = `{"channel":"c","content":1}`
	head := func(method, target, kind string, length int) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", method, target, kind, length)
	}
	p := dial(t, srv)
	for range 2 { // on a kept connection too
		p.write(head("POST", "/broadcast?key=k", "application/json", len(body)))
		p.expectStatus(100)
		p.write(body)
		p.expectStatus(201)
		member.expectText("1")
	}
	for _, c := range []struct {
		name, head string
		want       int
	}{
		{"wrong key", head("POST", "/broadcast?key=x", "application/json", len(body)), 403},
		{"other type", head("POST", "/broadcast?key=k", "text/plain", len(body)), 415},
		{"too large", head("POST", "/broadcast?key=k", "application/json", 101), 413},
		{"other method", head("PUT", "/broadcast?key=k", "application/json", len(body)), 405},
		{"other path", head("POST", "/other", "application/json", len(body)), 404},
	} {
		p := dial(t, srv)
		p.write(c.head)
		if res := p.response(); res.status != c.want || !res.close || res.body == "" {
			t.Errorf("%s: %+v; want %d with a reason before the body is sent, and the end of the connection", c.name, res, c.want)
		}
		p.expectEnd()
	}
	member.expectNothing()
}

// TestUpgradeBehindAPost: a proxy may upgrade on a connection it has used for a
// request. The HTTP server gives it back to the event loops.
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
	p.write(upgradeHead("/ws", "Origin: https://b.test"))
	p.expectStatus(403)
	p.expectEnd()
}

// TestEverythingInOneWrite: a POST, an upgrade behind it, and more frames than the
// HTTP server's buffer holds. Not a byte may be lost on the way back to the loops.
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

// TestTooManyHTTPConnections: beyond the bound the answer is 503, and sessions are
// not touched.
func TestTooManyHTTPConnections(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	take := func(n int) {
		srv.http.mu.Lock()
		defer srv.http.mu.Unlock()
		srv.http.entered += n
	}
	take(maxHTTP)
	res := post(t, srv, "/broadcast", `{"channel":"c","content":1}`)
	if res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("got %+v, want 503 with Retry-After", res)
	}
	p.usable()
	take(-maxHTTP)
	publish(t, srv, "c", "1")
}

// TestBusyChannel: while a channel has too much undelivered, a backend gets 503; what
// was answered with 201 is delivered, what was answered with 503 is not.
func TestBusyChannel(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 4 << 10})
	member := connect(t, srv, "/ws")
	member.join("c")
	p := dial(t, srv)
	p.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") // leaves the loops before they are held
	p.expectStatus(404)
	var releases []func()
	for _, l := range srv.loops {
		releases = append(releases, holdLoop(t, l))
	}
	content := func(i int) string { return fmt.Sprintf(`"%d %s"`, i, strings.Repeat("x", 500)) }
	var taken []string
	refused := 0
	for i := range 10 {
		p.write(postRequest("/broadcast", `{"channel":"c","content":`+content(i)+`}`))
		switch res := p.response(); {
		case res.status == 201:
			taken = append(taken, content(i))
		case res.status == 503 && res.header.Get("Retry-After") != "" && strings.Contains(res.body, "not published"):
			refused++
		default:
			t.Fatalf("publication %d: %+v, want 201, or 503 with Retry-After", i, res)
		}
	}
	if len(taken) == 0 || refused == 0 {
		t.Fatalf("%d taken, %d refused; want some of both", len(taken), refused)
	}
	for _, release := range releases {
		release()
	}
	member.expectText(taken...)
	settle(t, srv)
	member.expectNothing()
	if got := srv.Stats().Dropped["channel_busy"]; got != uint64(refused) {
		t.Errorf("Stats().Dropped[channel_busy] = %d, want %d", got, refused)
	}
}

// TestUnixSocket: sessions and backends on a unix socket; its peers are local.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	srv := start(t, Config{ListenAddr: "unix:" + path})
	p := connect(t, srv, "/ws")
	p.join("c")
	publish(t, srv, "c", `"by unix"`)
	p.expectText(`"by unix"`)
	if res := post(t, srv, "/broadcast", `{"channel":"c","content":1}`, "X-Forwarded-For: 192.0.2.1"); res.status != 403 {
		t.Errorf("through a proxy: %d, want 403", res.status)
	}
	p.write(closing(1000, ""))
	p.expectClose(1000)
	if err := srv.Shutdown(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// shortDir is a directory whose path leaves room for a socket; unix(7).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wsify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestIPv6: the same on [::1].
func TestIPv6(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	} else {
		_ = ln.Close()
	}
	srv := start(t, Config{ListenAddr: "[::1]:0"})
	connect(t, srv, "/ws").usable()
	publish(t, srv, "c", "1")
}

// TestNetHTTPClient: the standard library's client, with its keep-alive pool, is a
// backend like any other.
func TestNetHTTPClient(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 5 {
		res, err := client.Post("http://"+srv.Addr().String()+"/broadcast", "application/json",
			strings.NewReader(fmt.Sprintf(`{"channel":"c","content":%d}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("status %d, want 201", res.StatusCode)
		}
		member.expectText(fmt.Sprint(i))
	}
	if st := srv.Stats(); st.HandedOff != 1 {
		t.Errorf("%d connections for 5 requests, want 1", st.HandedOff)
	}
}
