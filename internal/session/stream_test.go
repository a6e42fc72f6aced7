package session

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// TestAStreamHearsItsChannels, in the order of publication, next to members with WebSockets.
func TestAStreamHearsItsChannels(t *testing.T) {
	srv := start(t, Config{})
	s := openStream(t, srv, "/sse?channel=a&channel=b%20c")
	member := connect(t, srv, "/ws")
	member.join("a")
	long := `"` + strings.Repeat("x", 20_000) + `"`
	post201(t, srv, "a", "{\"n\":\r\n1}")
	post201(t, srv, "elsewhere", "0")
	post201(t, srv, "b c", "18446744073709551616")
	post201(t, srv, "a", long)
	member.broadcast("a", `"from a client"`)
	s.expectEvents(`{"channel":"a","content":{"n":  1}}`, `{"channel":"b c","content":18446744073709551616}`,
		`{"channel":"a","content":`+long+`}`, `{"channel":"a","content":"from a client"}`)
	member.expectText("{\"n\":\r\n1}", long, `"from a client"`)
	for i := range 1000 {
		member.broadcast("a", strconv.Itoa(i))
	}
	for i := range 1000 {
		s.expectEvents(fmt.Sprintf(`{"channel":"a","content":%d}`, i))
	}
	settle(t, srv)
	s.expectNothing()
}

// TestTheHeadOfAStream says that nobody on the way may keep, buffer or reuse it.
func TestTheHeadOfAStream(t *testing.T) {
	s := openStream(t, start(t, Config{}), "/sse?channel=a")
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Origin", "Content-Length": "", "Transfer-Encoding": "", "Access-Control-Allow-Origin": "",
	} {
		if got := s.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if s.header.Get("Date") == "" {
		t.Error("there is no Date")
	}
	if ms, err := strconv.Atoi(s.retry); err != nil || ms < 1000 || ms > 3000 {
		t.Errorf("retry: %s, want 1 to 3 seconds", s.retry)
	}
}

// TestContentFromElsewhereForgesNothing: an engine may bring what is not JSON.
func TestContentFromElsewhereForgesNothing(t *testing.T) {
	srv := start(t, Config{})
	s := openStream(t, srv, "/sse?channel=a")
	for _, content := range []string{"1}\n\nevent: close\ndata: {}\n\n", "{", "\xff"} {
		if err := srv.deliver([]byte("a"), []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	s.expectEvents(`{"channel":"a","content":"1}\n\nevent: close\ndata: {}\n\n"}`, `{"channel":"a","content":"{"}`, `{"channel":"a","content":"\ufffd"}`)
}

// TestRequestsThatBeginNoStream get a reason, and the connection ends.
func TestRequestsThatBeginNoStream(t *testing.T) {
	srv := start(t, Config{AllowedOrigins: []string{"https://a.test"}, MaxChannelsPerConnection: 2, MaxChannelLength: 5})
	const origin = "Origin: https://a.test"
	for _, c := range []struct {
		name, request string
		status        int
		header, want  string // a header of the answer
	}{
		{"POST", "POST /sse?channel=a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 405, "Allow", "GET, OPTIONS"},
		{"an upgrade", strings.Replace(upgradeHead("/sse?channel=a"), "GET", "PUT", 1), 405, "Allow", "GET, OPTIONS"},
		{"no channel", streamHead("/sse"), 400, "Connection", ""},
		{"an empty channel", streamHead("/sse?channel=a&channel="), 400, "", ""},
		{"one channel too many", streamHead("/sse?channel=a&channel=b&channel=a&channel=c"), 400, "", ""},
		{"a name that is too long", streamHead("/sse?channel=123456"), 400, "", ""},
		{"a name of nodes", streamHead("/sse?channel=%00a"), 400, "", ""},
		{"a broken query", streamHead("/sse?channel=%a"), 400, "", ""},
		{"a body", "GET /sse?channel=a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400, "", ""},
		{"another origin", streamHead("/sse?channel=a", "Origin: https://b.test"), 403, "Access-Control-Allow-Origin", ""},
		{"an error that a page may see", streamHead("/sse", origin), 400, "Access-Control-Allow-Origin", "https://a.test"},
		{"another path", streamHead("/sse/?channel=a"), 404, "", ""},
	} {
		p := dial(t, srv)
		p.write(c.request)
		res := p.expectStatus(c.status)
		if res.body == "" || !res.close {
			t.Errorf("%s: %+v, want a reason and the end", c.name, res)
		}
		if got := res.header.Get(c.header); c.header != "" && got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.name, c.header, got, c.want)
		}
		p.expectEnd()
	}
	openStream(t, srv, "/sse?channel=a&channel=12345")
	if st := srv.Stats(); st.Upgraded != 1 || st.Rejected["malformed"] != 10 || st.Rejected["origin"] != 1 || st.Rejected["not_found"] != 1 {
		t.Errorf("upgraded %d, rejected %v", st.Upgraded, notZero(st.Rejected))
	}
}

// TestHEADHasNoBody: the head is that of the refusal.
func TestHEADBeginsNoStream(t *testing.T) {
	p := dial(t, start(t, Config{}))
	p.write("HEAD /sse?channel=a HTTP/1.1\r\nHost: a\r\n\r\n")
	text, err := p.r.ReadString(0)
	if !isEnd(err) || !strings.HasPrefix(text, "HTTP/1.1 405 ") || !strings.HasSuffix(text, "\r\n\r\n") {
		t.Errorf("got %q, %v; want the head of a 405", text, err)
	}
}

// TestPagesOfAllowedOriginsReadStreams, also with cookies, and scripts may send headers.
func TestPagesOfAllowedOriginsReadStreams(t *testing.T) {
	srv := start(t, Config{AllowedOrigins: []string{"https://*.a.test"}})
	const origin = "https://x.a.test"
	s := openStream(t, srv, "/sse?channel=a", "Origin: "+origin)
	p := dial(t, srv)
	p.write("OPTIONS /sse?channel=a HTTP/1.1\r\nHost: a\r\nOrigin: " + origin + "\r\nAccess-Control-Request-Method: GET\r\n\r\n")
	preflight := p.expectStatus(204)
	p.expectEnd()
	for name, want := range map[string]string{"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"} {
		if s.header.Get(name) != want || preflight.header.Get(name) != want {
			t.Errorf("%s: %q, in the preflight %q; want %q", name, s.header.Get(name), preflight.header.Get(name), want)
		}
	}
	if got := preflight.header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Last-Event-ID") || !strings.Contains(got, "Authorization") {
		t.Errorf("Access-Control-Allow-Headers: %q", got)
	}
	p = dial(t, srv)
	p.write("OPTIONS /sse HTTP/1.1\r\nHost: a\r\nOrigin: https://b.test\r\n\r\n")
	p.expectStatus(403)
}

// TestWhatFollowsTheHeadIsIgnored: the answer has no end, so a request behind it can have none.
func TestWhatFollowsTheHeadIsIgnored(t *testing.T) {
	srv := start(t, Config{})
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=a") + streamHead("/sse?channel=b") + postRequest("/broadcast", `{"channel":"a","content":0}`))
	s := p.followed(srv)
	p.write(postRequest("/broadcast", `{"channel":"a","content":0}`) + strings.Repeat("x", 100_000))
	post201(t, srv, "b", "1")
	post201(t, srv, "a", "2")
	s.expectEvents(`{"channel":"a","content":2}`)
	p.closeWrite() // the end of the client's side is its end
	p.expectEnd()
	testtool.Until(t, "it is gone", func() bool { return srv.Stats().Closed["peer_closed"] >= 1 })
}

// TestAStreamCanFollowPublicationsOnAConnection that a proxy keeps, for clients of HTTP/1.0, too,
// and when the head arrives byte by byte.
func TestAStreamCanFollowPublicationsOnAConnection(t *testing.T) {
	srv := start(t, Config{})
	p := dial(t, srv)
	p.write(postRequest("/broadcast", `{"channel":"a"}`))
	p.expectStatus(201)
	for _, b := range []byte("GET http://a/sse?channel=a HTTP/1.0\r\n\r\n") {
		p.write(string(b))
	}
	s := p.followed(srv)
	post201(t, srv, "a", "1")
	s.expectEvents(`{"channel":"a","content":1}`)
}

// TestStreamsTakePlaces like WebSockets, and give them back.
func TestStreamsTakePlaces(t *testing.T) {
	srv := start(t, Config{Limits: Limits{MaxConnections: 2, MaxConnectionsPerAddress: 1}})
	s := openStream(t, srv, "/sse?channel=a")
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=a", "Origin: https://a.test"))
	if res := p.expectStatus(429); res.header.Get("Retry-After") == "" || res.header.Get("Access-Control-Allow-Origin") != "https://a.test" {
		t.Errorf("%+v, want Retry-After, and a page that can see it", res)
	}
	second := dialFrom(t, srv, "127.0.0.2")
	second.write(streamHead("/sse?channel=a"))
	second.followed(srv)
	third := dialFrom(t, srv, "127.0.0.3")
	third.write(streamHead("/sse?channel=a"))
	third.expectStatus(503)
	_ = s.Close()
	testtool.Until(t, "a place is free", func() bool { return srv.admission.taken.Load() == 1 })
	openStream(t, srv, "/sse?channel=a")
}

// TestTheTextOf426NamesStreams, for those whose network has no WebSockets.
func TestTheTextOf426NamesStreams(t *testing.T) {
	p := dial(t, start(t, Config{}))
	p.write("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
	if res := p.expectStatus(426); !strings.Contains(res.body, "new EventSource(") {
		t.Errorf("body %q", res.body)
	}
	p = dial(t, start(t, Config{}))
	p.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if res := p.expectStatus(404); !strings.Contains(res.body, "/sse") {
		t.Errorf("body %q", res.body)
	}
}
