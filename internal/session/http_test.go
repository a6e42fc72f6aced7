package session

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// TestBroadcastStatuses is the table of answers to /broadcast. All are on one kept
// connection, and have the CORS header.
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
		if c.want == 403 || c.want == 405 || c.want == 415 { // the body is not read, which ends the connection
			p.expectEnd()
			p = dial(t, srv)
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
			t.Errorf("%s: the body is empty, want a reason", c.name)
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
	want := map[string]uint64{"key": 4, "method": 3, "media_type": 3, "malformed": 3, "too_large": 1}
	if st := srv.Stats(); st.Broadcasts["http"] != uint64(heard) || !maps.Equal(notZero(st.Unpublished), want) {
		t.Errorf("%v, refused %v; want %d by http, and %v", st.Broadcasts, st.Unpublished, heard, want)
	}
}

// TestBodyTooLarge: 413, with and without Content-Length.
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

// TestNotFound: this server has two paths, and compares them without decoding.
func TestNotFound(t *testing.T) {
	srv := start(t, Config{})
	for _, target := range []string{"/", "/w", "/ws/", "/wss", "/WS", "/healthz", "/broadcast/"} {
		p := dial(t, srv)
		p.write("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		p.expectStatus(404)
	}
}

// TestTrickledBody: a body may arrive byte by byte, chunked or not.
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

// TestPipelinedRequests: a client may send requests without waiting for answers. The
// answers are in order.
func TestPipelinedRequests(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	var all strings.Builder
	for i := range 50 {
		all.WriteString(postRequest("/broadcast", fmt.Sprintf(`{"channel":"c","content":%d}`, i)))
		all.WriteString(postRequest("/broadcast", "{"))
	}
	all.WriteString("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
	p := dial(t, srv)
	p.write(all.String())
	for i := range 50 {
		p.expectStatus(201)
		p.expectStatus(400)
		member.expectText(fmt.Sprint(i))
	}
	p.expectStatus(404)
	p.expectEnd()
}

// TestExpectContinue: a client that sends Expect: 100-continue gets a 100, or a
// refusal with a reason.
func TestExpectContinue(t *testing.T) {
	srv := start(t, Config{BroadcastingKey: "k", MaxMessageSize: 100})
	member := connect(t, srv, "/ws")
	member.join("c")
	const body = `{"channel":"c","content":1}`
	head := func(method, target, kind string, length int) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", method, target, kind, length)
	}
	p := dial(t, srv)
	for range 2 { // the second time on a kept connection
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
		{"too large", head("POST", "/broadcast?key=k", "application/json", 1<<20+1), 413},
		{"too many lines", head("POST", "/broadcast?key=k", "application/x-ndjson", 1<<20+1), 413},
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

// TestBusyChannel: while a channel has too much undelivered, a backend gets 503. All
// publications with a 201 are delivered, and none with a 503.
func TestBusyChannel(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 4 << 10})
	member := connect(t, srv, "/ws")
	member.join("c")
	p := dial(t, srv) // the loops take turns
	p.write(postRequest("/broadcast", `{"channel":"nobody"}`))
	p.expectStatus(201)
	var releases []func()
	for _, l := range srv.loops {
		members := 0
		onLoop(t, l, func() { members = l.countState(open) })
		if members > 0 {
			releases = append(releases, holdLoop(t, l))
		}
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

// TestBodiesOfStrangersAreNotRead: if the head suffices for a refusal, the server refuses
// the request without its body, which would occupy memory and a connection.
func TestBodiesOfStrangersAreNotRead(t *testing.T) {
	srv := start(t, Config{BroadcastingKey: "k"})
	for _, c := range []struct {
		head string
		want int
	}{
		{"POST /broadcast?key=wrong HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", 403},
		{"POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", 403},
		{"PUT /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", 405},
		{"POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", 404},
	} {
		p := dial(t, srv)
		p.write(c.head + "{")
		p.expectStatus(c.want)
		p.expectEnd()
	}
}

// TestAPublicationThatIsNotUTF8IsRefused: a text message must be UTF-8, so otherwise every
// member's client would fail.
func TestAPublicationThatIsNotUTF8IsRefused(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	p := dial(t, srv)
	p.write(postRequest("/broadcast", "{\"channel\":\"c\",\"content\":\"caf\xe9\"}"))
	p.expectStatus(400)
	p.write(postRequest("/broadcast", `{"channel":"c","content":"café"}`))
	p.expectStatus(201)
	member.expectText(`"café"`)
}
