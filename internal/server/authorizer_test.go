package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answers is every way a webhook can answer, and what it means.
var answers = []struct {
	name    string
	url     func(t *testing.T) string
	connect int // status of the upgrade
	later   int // close code after a command; 0 is denied, 1 allowed
}{
	{"200", answering(200, ""), 101, 1},
	{"200 and 1 MB", answering(200, strings.Repeat("x", 1<<20)), 101, 1},
	{"201", answering(201, ""), 403, 0},
	{"204", answering(204, ""), 403, 0},
	{"301", answering(301, ""), 403, 0},
	{"400", answering(400, "no"), 403, 0},
	{"403", answering(403, "no"), 403, 0},
	{"403 and 1 MB", answering(403, strings.Repeat("x", 1<<20)), 403, 0},
	{"404", answering(404, ""), 403, 0},
	{"499", answering(499, ""), 403, 0},
	{"500", answering(500, ""), 503, 1013},
	{"503", answering(503, ""), 503, 1013},
	{"599", answering(599, ""), 503, 1013},
	{"hangs", speaking(""), 503, 1013},
	{"trickles its body", speaking("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"), 503, 1013},
	{"trickles its head", speaking("HTTP/1.1 200 OK\r\nContent-"), 503, 1013},
	{"not HTTP", speaking("220 mail.example.com ESMTP\r\n\r\n"), 503, 1013},
	{"hangs up", endingWith(func(c *net.TCPConn) {}), 503, 1013},
	{"resets", endingWith(func(c *net.TCPConn) { _ = c.SetLinger(0) }), 503, 1013},
	{"resets within the answer", endingWith(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
		_ = c.SetLinger(0)
	}), 503, 1013},
	{"refuses connections", func(t *testing.T) string {
		ln := listen(t)
		_ = ln.Close()
		return "http://" + ln.Addr().String()
	}, 503, 1013},
}

// answering is a webhook that answers everything so.
func answering(status int, body string) func(t *testing.T) string {
	return func(t *testing.T) string {
		hook := newWebhook(t, nil)
		hook.answerWith(func(w http.ResponseWriter, _ question) {
			if status == 301 {
				w.Header().Set("Location", hook.URL+"/elsewhere")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		return hook.URL
	}
}

// speaking is a webhook that sends this and then nothing more.
func speaking(text string) func(t *testing.T) string {
	return func(t *testing.T) string {
		return listening(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c) // until the server has had enough
		})
	}
}

// endingWith is a webhook that ends the connection after the question.
func endingWith(end func(c *net.TCPConn)) func(t *testing.T) string {
	return func(t *testing.T) string {
		return listening(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 16<<10))
			end(c)
		})
	}
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// listening runs handle on each connection, and waits for all at the test's end.
func listening(t *testing.T, handle func(c *net.TCPConn)) string {
	ln := listen(t)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return "http://" + ln.Addr().String()
}

// TestAuthorizerAnswersAtConnect: yes is 101, no 403, down 503 with Retry-After.
func TestAuthorizerAnswersAtConnect(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			srv := start(t, Config{AuthorizerURL: a.url(t), AuthorizerTimeout: 100 * time.Millisecond})
			p := dial(t, srv)
			p.write(upgradeHead("/ws"))
			res := p.expectStatus(a.connect)
			if got := res.header.Get("Retry-After"); (a.connect == 503) != (got != "") {
				t.Errorf("Retry-After %q with %d", got, a.connect)
			}
			if a.connect != 101 {
				p.expectEnd()
			}
		})
	}
}

// TestAuthorizerAnswersLater: yes does the command, no drops it, down ends the
// connection with 1013 and does nothing of what came behind.
func TestAuthorizerAnswersLater(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			srv := start(t, Config{AuthorizerURL: a.url(t), AuthorizerTimeout: 100 * time.Millisecond, AuthorizerEvents: []string{"join"}})
			p := connect(t, srv, "/ws")
			p.write(message(`{"command":"join","args":{"channel":"c"},"id":1}`) + message(`{"command":"broadcast","args":{"channel":"c","content":1},"id":2}`))
			switch a.later {
			case 1:
				p.expectText(`{"id":1,"ok":true}`, `{"id":2,"ok":true}`, `1`)
			case 0:
				p.expectText(`{"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`, `{"id":2,"ok":true}`)
				p.expectNothing()
			default:
				p.expectText(`{"id":1,"ok":false,"error":{"code":"authorizer_down","message":"the authorizer cannot be reached"}}`)
				p.expectClose(a.later)
				waitFor(t, "counted as authorizer_down", func() bool { return srv.Stats().Closed["authorizer_down"] == 1 })
			}
			if got := srv.Stats().Broadcasts["client"]; (got == 1) != (a.later < 2) {
				t.Errorf("%d broadcasts behind the command", got)
			}
		})
	}
}

// TestAuthorizerHeaders: what helps a webhook to judge is in headers, and the body
// is the message without the id.
func TestAuthorizerHeaders(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	ids := map[string]bool{}
	for _, query := range []string{"", "user=ann&x=%20%0a&y=\"", "a"} {
		target := "/ws"
		if query != "" {
			target += "?" + query
		}
		asked := len(hook.questions())
		p := connect(t, srv, target)
		p.join("c")
		p.send(`{"id":"x","command":"broadcast","args":{"channel":"c"}}`)
		p.expectText(`{"id":"x","ok":true}`, `null`)
		p.leave("c")
		questions := hook.questions()[asked:]
		var commands []string
		for _, q := range questions {
			commands = append(commands, q.command)
			id := q.header.Get("X-Wsify-Connection")
			if id == "" || id != questions[0].header.Get("X-Wsify-Connection") {
				t.Errorf("%s: X-Wsify-Connection %q, want the same each time", q.command, id)
			}
			ids[id] = true
			if got, want := q.header.Get("X-Wsify-Remote-Addr"), p.LocalAddr().String(); got != want {
				t.Errorf("%s: X-Wsify-Remote-Addr %q, want %q", q.command, got, want)
			}
			if got, want := q.header.Get("X-Wsify-Query"), strings.ReplaceAll(query, `"`, "%22"); got != want && got != query {
				t.Errorf("%s: X-Wsify-Query %q, want %q", q.command, got, want)
			}
			if q.method != "POST" || q.header.Get("Content-Type") != "application/json" || strings.Contains(q.body, `"id"`) {
				t.Errorf("%s: %s, type %q, body %s; want a POST of JSON without the id", q.command, q.method, q.header.Get("Content-Type"), q.body)
			}
		}
		if want := []string{"connect", "join", "broadcast", "leave"}; !slices.Equal(commands, want) {
			t.Errorf("asked about %v, want %v", commands, want)
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d ids for 3 connections", len(ids))
	}
}

// TestAuthorizerEvents: only what is picked is asked about.
func TestAuthorizerEvents(t *testing.T) {
	for _, events := range [][]string{{"connect"}, {"join"}, {"leave"}, {"broadcast"}, {"connect", "leave"}, {"join", "broadcast"}} {
		t.Run(strings.Join(events, ","), func(t *testing.T) {
			hook := newWebhook(t, nil)
			p := connect(t, start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: events}), "/ws")
			p.usable()
			var asked []string
			for _, q := range hook.questions() {
				asked = append(asked, q.command)
			}
			slices.Sort(asked)
			want := slices.Sorted(slices.Values(events))
			if !slices.Equal(asked, want) {
				t.Errorf("asked about %v, want %v", asked, want)
			}
		})
	}
}

// TestOneQuestionAtATime (I6, I7): a connection has at most one question under way,
// and they come in the order of its commands, however slowly they are answered and
// however many connections ask.
func TestOneQuestionAtATime(t *testing.T) {
	const peers, commands = 8, 60
	var mu sync.Mutex
	underWay := map[string]int{}
	most := 0
	hook := newWebhook(t, nil)
	var turns atomic.Int64
	hook.answerStatus(func(q question) int {
		if q.method == http.MethodGet {
			return 200
		}
		id := q.header.Get("X-Wsify-Connection")
		mu.Lock()
		underWay[id]++
		most = max(most, underWay[id])
		mu.Unlock()
		if turns.Add(1)%7 == 0 { // let others overtake
			_, _ = http.Get(hook.URL + "/detour")
		}
		mu.Lock()
		underWay[id]--
		mu.Unlock()
		if strings.Contains(q.body, `"no"`) {
			return 403
		}
		return 200
	})
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join", "leave", "broadcast"}, Workers: 4, Queue: 2})
	all := make([]*peer, peers)
	for i := range all {
		all[i] = connect(t, srv, "/ws")
		var b strings.Builder
		for n := range commands {
			channel := []string{"yes", "no"}[n%3/2]
			fmt.Fprint(&b, message(fmt.Sprintf(`{"command":"join","args":{"channel":"%d %d","say":%q},"id":%d}`, i, n, channel, n)))
		}
		all[i].write(b.String())
	}
	for _, p := range all {
		for n := range commands {
			if n%3 == 2 {
				p.expectText(fmt.Sprintf(`{"id":%d,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`, n))
			} else {
				p.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, n))
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if most != 1 {
		t.Errorf("%d questions of one connection were under way at once, want 1", most)
	}
	next := map[string]int{}
	for _, q := range hook.questions("join") {
		var i, n int
		if _, err := fmt.Sscanf(q.body, `{"command":"join","args":{"channel":"%d %d"`, &i, &n); err != nil {
			t.Fatal(q.body, err)
		}
		id := q.header.Get("X-Wsify-Connection")
		if n != next[id] {
			t.Fatalf("connection %s: asked about command %d, want %d", id, n, next[id])
		}
		next[id]++
	}
}

// TestFullPool: when workers and queue are taken, connections wait and lose nothing;
// new upgrades get 503; with room again everything goes on.
func TestFullPool(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, Workers: 1, Queue: 1})
	peers := make([]*peer, 8)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
	}
	release := hook.hold(is("join"))
	const each = 5
	for _, p := range peers {
		for n := range each {
			p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"c%d"},"id":%d}`, n, n))
		}
	}
	waitFor(t, "all sessions wait", func() bool { return sessionsIn(t, srv, parked) == len(peers) })
	for range 3 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws"))
		if res := p.expectStatus(503); res.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After: %+v", res)
		}
		p.expectEnd()
	}
	if n := len(hook.questions("join")); n != 1 {
		t.Errorf("%d questions under way with 1 worker", n)
	}
	release()
	for _, p := range peers {
		for n := range each {
			p.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, n))
		}
		p.expectNothing()
	}
	connect(t, srv, "/ws").usable()
	if n := len(hook.questions("join")); n != len(peers)*each+1 {
		t.Errorf("%d questions about joins, want %d", n, len(peers)*each+1)
	}
}

// TestHangingAuthorizerDelaysNobodyElse: while the webhook holds the questions of
// some connections, others do 1,000 round trips.
func TestHangingAuthorizerDelaysNobodyElse(t *testing.T) {
	const waiting = 100
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: patience, Workers: waiting + 2})
	other := connect(t, srv, "/ws")
	other.join("other")
	release := hook.hold(is("join"))
	peers := make([]*peer, waiting)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
		peers[i].send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	}
	waitFor(t, "the webhook holds them all", func() bool { return len(hook.questions("join")) == waiting+1 })
	for i := range 1000 {
		text := fmt.Sprint(i)
		other.broadcast("other", text)
		other.expectText(text)
	}
	publish(t, srv, "other", `"by http"`)
	other.expectText(`"by http"`)
	if n := sessionsIn(t, srv, parked); n != waiting {
		t.Errorf("%d sessions wait, want %d", n, waiting)
	}
	release()
	for _, p := range peers {
		p.expectText(`{"id":1,"ok":true}`)
	}
}

// TestLeavingWhileParked: a peer that goes while its command is being asked about
// leaves nothing behind, however it goes.
func TestLeavingWhileParked(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "broadcast"}})
	witness := connect(t, srv, "/ws")
	witness.join("c")
	const broadcast = `{"command":"broadcast","args":{"channel":"c","content":1},"id":1}`

	t.Run("half close", func(t *testing.T) {
		p := connect(t, srv, "/ws")
		p.join("c")
		release := hook.hold(is("broadcast"))
		n := len(hook.questions("broadcast"))
		p.write(message(broadcast) + message(`{"command":"leave","args":{"channel":"c"},"id":2}`))
		p.closeWrite()
		hook.awaitQuestions(n+1, "broadcast")
		release()
		p.expectText(`{"id":1,"ok":true}`, `1`, `{"id":2,"ok":true}`)
		p.expectEnd()
		witness.expectText(`1`)
	})
	t.Run("reset", func(t *testing.T) {
		p := connect(t, srv, "/ws")
		p.join("c")
		release := hook.hold(is("broadcast"))
		n := len(hook.questions("broadcast"))
		p.send(broadcast)
		hook.awaitQuestions(n+1, "broadcast")
		p.reset()
		waitFor(t, "the membership is gone", func() bool { return srv.hub.Members([]byte("c")) == 1 })
		release()
		witness.expectNothing()
	})
	t.Run("during the upgrade", func(t *testing.T) {
		release := hook.hold(is("connect"))
		n := len(hook.questions("connect"))
		p := dial(t, srv)
		p.write(upgradeHead("/ws") + message(broadcast))
		hook.awaitQuestions(n+1, "connect")
		p.reset()
		waitFor(t, "the connection is gone", func() bool { return srv.Stats().Net.Connections == 1 })
		release()
		witness.expectNothing()
	})
	t.Run("with a Close frame", func(t *testing.T) {
		p := connect(t, srv, "/ws")
		release := hook.hold(is("broadcast"))
		n := len(hook.questions("broadcast"))
		p.write(message(broadcast) + closing(1000, ""))
		hook.awaitQuestions(n+1, "broadcast")
		release()
		p.expectText(`{"id":1,"ok":true}`)
		p.expectClose(1000)
		witness.expectText(`1`)
	})
	waitFor(t, "one connection is left", func() bool { return srv.Stats().Net.Connections == 1 })
	if n := srv.hub.Members([]byte("c")); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
}

// TestParkedSessionIsNotRead: the peer's own TCP connection is the queue. What it
// can send while a question is held is bounded, and nothing of it is lost.
func TestParkedSessionIsNotRead(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: patience, WriteQueueSize: 64 << 20})
	p := connect(t, srv, "/ws")
	release := hook.hold(nil)
	p.send(`{"command":"join","args":{"channel":"c"}}`)
	hook.awaitQuestions(1, "join")
	const size, count = 32 << 10, 1000 // 32 MB: more than any socket buffer here
	sent := make(chan error, 1)
	var written atomic.Int64
	go func() {
		for i := range count {
			if err := p.tryWrite(message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":[%d,%q]}}`, i, strings.Repeat("x", size)))); err != nil {
				sent <- err
				return
			}
			written.Add(1)
		}
		sent <- nil
	}()
	// The loops go on while nothing of it is read.
	before := srv.Stats().Net.BytesReceived
	other := connect(t, srv, "/ws")
	for range 100 {
		other.expectNothing()
	}
	if read := srv.Stats().Net.BytesReceived - before; read > 256<<10 {
		t.Errorf("%d bytes were read while the session is parked, want at most a read or two", read)
	}
	select {
	case err := <-sent:
		t.Fatalf("everything was sent, error %v, while the session is parked", err)
	default:
	}
	release()
	want := strings.Repeat("x", size)
	for i := range count {
		f, err := p.next()
		if err != nil || f.payload != fmt.Sprintf(`[%d,%q]`, i, want) {
			t.Fatalf("message %d: got %v, error %v", i, f, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestStartTellsAboutTheAuthorizer: an operator sees at once that it cannot be
// reached, and that any page may use its visitor's cookies.
func TestStartTellsAboutTheAuthorizer(t *testing.T) {
	hook := newWebhook(t, nil)
	_, good := startLogged(t, Config{AuthorizerURL: hook.URL})
	waitFor(t, "the log tells of the authorizer", func() bool { return strings.Contains(good.String(), strings.TrimPrefix(hook.URL, "http://")) })
	if !strings.Contains(good.String(), "any web page may connect") {
		t.Errorf("no warning about -allowed-origins in\n%s", good)
	}
	ln := listen(t)
	_ = ln.Close()
	_, bad := startLogged(t, Config{AuthorizerURL: "http://" + ln.Addr().String(), AllowedOrigins: []string{"https://a.test"}})
	waitFor(t, "the log warns", func() bool {
		return strings.Contains(bad.String(), "level=WARN") && strings.Contains(bad.String(), ln.Addr().String())
	})
	if strings.Contains(bad.String(), "any web page may connect") {
		t.Errorf("a warning about -allowed-origins, which is set, in\n%s", bad)
	}
}
