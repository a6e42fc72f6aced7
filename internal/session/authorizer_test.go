package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/auth"
	"wsify/internal/testtool"
)

// answers are all ways in which a webhook can answer, and their effects.
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
	{"refuses connections", refusing, 503, 1013},
}

// timeoutFor returns the authorizer's timeout in these tests: short if no answer comes,
// otherwise long, because a slow machine may answer late.
func timeoutFor(status int) time.Duration {
	if status == 503 {
		return 100 * time.Millisecond
	}
	return patience
}

// refusing is a webhook that does not run: its port is bound, so that no other process
// gets it, but not listened on.
func refusing(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	at, bad := unix.Getsockname(fd)
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// answering is a webhook that answers every question with status and body.
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

// speaking is a webhook that sends text and then nothing more.
func speaking(text string) func(t *testing.T) string {
	return func(t *testing.T) string {
		return listening(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c) // until the server closes the connection
		})
	}
}

// endingWith is a webhook that reads the question and then ends the connection.
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

// listening runs handle on each connection. At the test's end it waits for all of them.
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
	t.Parallel()
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			srv := start(t, Config{AuthorizerURL: a.url(t), AuthorizerTimeout: timeoutFor(a.connect)})
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

// TestAuthorizerAnswersLater: yes executes the command, no drops it, down ends the
// connection with 1013 and drops all commands after it.
func TestAuthorizerAnswersLater(t *testing.T) {
	t.Parallel()
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			srv := start(t, Config{AuthorizerURL: a.url(t), AuthorizerTimeout: timeoutFor(a.connect), AuthorizerEvents: []string{"join"}})
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
				testtool.Until(t, "counted as authorizer_down", func() bool { return srv.Stats().Closed["authorizer_down"] == 1 })
			}
			if got := srv.Stats().Broadcasts["client"]; (got == 1) != (a.later < 2) {
				t.Errorf("%d broadcasts after the command", got)
			}
		})
	}
}

// TestAuthorizerTimeoutsAreSpread: calls that began together, and hang, do not all end
// together. A machine that stalls may hide this, but not in every try.
func TestAuthorizerTimeoutsAreSpread(t *testing.T) {
	const calls = 64
	var spread time.Duration
	for attempt := 0; attempt < 5 && spread < timeoutSpread/2; attempt++ {
		srv := start(t, Config{AuthorizerURL: speaking("")(t), AuthorizerTimeout: time.Second, AuthorizerEvents: []string{"join"}, Workers: calls})
		var peers []*peer
		for range calls {
			peers = append(peers, connect(t, srv, "/ws"))
		}
		for _, p := range peers {
			p.send(`{"command":"join","args":{"channel":"c"}}`)
		}
		testtool.Until(t, "the first has timed out", func() bool { return srv.authorizer[eventJoin.index()][auth.ResultTimeout].Load() > 0 })
		first := time.Now()
		testtool.Until(t, "all have ended", func() bool { running, _ := srv.workers.Busy(); return running == 0 })
		spread = time.Since(first)
	}
	if spread < timeoutSpread/2 {
		t.Errorf("%d calls ended within %v", calls, spread)
	}
}

// TestAuthorizerHeaders: information about the connection is in headers, and the body
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

// TestTheTraceOfAnUpgradeIsHandedOn to the authorizer, in its question about connect. Commands come
// later, and belong to no request.
func TestTheTraceOfAnUpgradeIsHandedOn(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for sent, want := range map[string][2]string{parent: {parent, "a=b"}, "00-0-0-0": {}, "": {}} {
		asked := len(hook.questions())
		p := connect(t, srv, "/ws", "Traceparent: "+sent, "Tracestate: a=b")
		p.join("c")
		for _, q := range hook.questions()[asked:] {
			wanted := want
			if q.command != "connect" {
				wanted = [2]string{}
			}
			if got := [2]string{q.header.Get("traceparent"), q.header.Get("tracestate")}; got != wanted {
				t.Errorf("traceparent %q: the question about %s has the trace %q, want %q", sent, q.command, got, wanted)
			}
		}
	}
}

// A decoder that ignores case, or uses the first of two members, would read another channel.
func TestAuthorizerIsNotAskedAboutWhatItMayReadOtherwise(t *testing.T) {
	hook := newWebhook(t, nil)
	p := connect(t, start(t, Config{AuthorizerURL: hook.URL}), "/ws")
	for _, args := range []string{
		`{"channel":"admin","CHANNEL":"news"}`, `{"channel":"admin","channel":"news"}`, `{"channel":"admin","ch\u0061nnel":"news"}`,
		`{"channel":"a","argſ":{}}`, `{"channel":"a\ud800"}`,
	} {
		p.send(`{"command":"join","args":` + args + `,"id":1}`)
		if f, err := p.next(); err != nil || !strings.Contains(string(f.payload), `"bad_request"`) {
			t.Errorf("%s: %q, %v", args, f.payload, err)
		}
	}
	if asked := hook.questions("join"); len(asked) > 0 {
		t.Errorf("the authorizer was asked about %s", asked[0].body)
	}
}

// The authorizer gets the channel's name as the server has read it.
func TestAuthorizerIsToldTheChannel(t *testing.T) {
	hook := newWebhook(t, nil)
	p := connect(t, start(t, Config{AuthorizerURL: hook.URL}), "/ws")
	for _, command := range []string{"join", "broadcast", "leave"} {
		p.send("\ufeff" + `{"command":"` + command + `","args":{"channel":" \u0075ser:é ","x":1},"id":1}`)
		q := hook.awaitQuestions(1, command)[0]
		if got := q.header["X-Wsify-Channel"]; len(got) != 1 || got[0] != "user%3A%C3%A9" {
			t.Errorf("%s: X-Wsify-Channel %q", command, got)
		}
		if want := `{"command":"` + command + `","args":{"channel":" \u0075ser:é ","x":1}}`; q.body != want {
			t.Errorf("the authorizer was asked %s, want %s", q.body, want)
		}
	}
	if got := hook.questions("connect")[0].header["X-Wsify-Channel"]; got != nil {
		t.Errorf("X-Wsify-Channel before the upgrade: %q", got)
	}
}

// TestAuthorizerEvents: the authorizer is asked about the configured events only.
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
