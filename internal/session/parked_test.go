package session

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// parkMany joins "held" on n connections.
func parkMany(t *testing.T, srv *Server, n int) []*peer {
	t.Helper()
	parked := make([]*peer, n)
	for i := range parked {
		parked[i] = connect(t, srv, "/ws")
		parked[i].send(`{"command":"join","args":{"channel":"held"},"id":1}`)
	}
	return parked
}

func awaitParked(t *testing.T, srv *Server, n int) {
	t.Helper()
	testtool.Until(t, fmt.Sprintf("%d sessions are parked", n), func() bool { return sessionsIn(t, srv, parked) == n })
}

// A webhook that hangs delays only the sessions that wait for it, in the pool, in its
// queue and in the loops.
func TestAThousandParkedSessionsDoNotHinderOthers(t *testing.T) {
	t.Parallel()
	const n = 1000
	for _, tc := range []struct {
		name           string
		workers, queue int
	}{
		{"the pool has room for all", 64, n},
		{"most wait for a place in the pool", 4, 16},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hook := newWebhook(t, nil)
			srv := start(t, Config{
				AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Hour,
				Workers: tc.workers, Queue: tc.queue,
			})
			others := connect(t, srv, "/ws")
			others.join("c")
			release := hook.hold(nil)
			waiting := parkMany(t, srv, n)
			awaitParked(t, srv, n)
			for i := range 1000 {
				others.broadcast("c", fmt.Sprint(i))
				others.expectText(fmt.Sprint(i))
			}
			post201(t, srv, "c", `"by http"`)
			others.expectText(`"by http"`)
			if left := sessionsIn(t, srv, parked); left != n {
				t.Errorf("%d sessions wait, want %d", left, n)
			}
			release()
			for _, p := range waiting {
				p.expectText(`{"id":1,"ok":true}`)
			}
			if got := srv.members(t, "held"); got != n {
				t.Errorf("%d members, want %d", got, n)
			}
		})
	}
}

// endSomehow ends a connection in one of the four ways there are, by i.
func (p *peer) endSomehow(i int) {
	p.t.Helper()
	switch i % 4 {
	case 0:
		p.reset()
	case 1:
		p.write(closing(1000, ""))
	case 2:
		p.closeWrite()
	case 3:
		_ = p.Close()
	}
}

// Connections end in every way during the webhook's call about them. The later answers
// have no recipient, and nothing is leaked.
func TestParkedSessionsThatEndLeaveNothing(t *testing.T) {
	const n = 300
	hook := newWebhook(t, nil)
	srv := start(t, Config{
		AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Hour, Workers: 8, Queue: 100,
	})
	release := hook.hold(nil)
	waiting := parkMany(t, srv, n)
	awaitParked(t, srv, n)
	for i, p := range waiting {
		p.endSomehow(i)
	}
	release()
	for i, p := range waiting {
		switch i % 4 {
		case 1:
			p.expectText(`{"id":1,"ok":true}`)
			p.expectClose(1000)
		case 2:
			p.expectText(`{"id":1,"ok":true}`)
			p.expectEnd()
		}
	}
	idle(t, srv, 0, 0, 0)
	connect(t, srv, "/ws").usable()
}

// An authorizer that violates HTTP counts as down: each command ends with 1013, and
// the server keeps working.
func TestABrokenAuthorizerForManyAtOnce(t *testing.T) {
	const n = 100
	for name, answer := range map[string]func(c *net.TCPConn){
		"resets":         func(c *net.TCPConn) { _ = c.SetLinger(0) },
		"hangs up":       func(*net.TCPConn) {},
		"speaks no HTTP": func(c *net.TCPConn) { _, _ = io.WriteString(c, "hello\r\n\r\n") },
		"stops halfway":  func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le") },
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, Config{AuthorizerURL: endingWith(answer)(t), AuthorizerEvents: []string{"join"}, Workers: 8})
			others := connect(t, srv, "/ws")
			for _, p := range parkMany(t, srv, n) {
				p.expectText(`{"id":1,"ok":false,"error":{"code":"authorizer_down","message":"the authorizer cannot be reached"}}`)
				p.expectClose(1013)
			}
			others.expectNothing()
			idle(t, srv, 1, 0, 0)
		})
	}
}

// The server answers pings during the webhook's call, also between other input. The other
// input takes effect in order.
func TestPingsOfAParkedSessionAreAnswered(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Hour})
	p := connect(t, srv, "/ws")
	release := hook.hold(is("join"))
	say := func(channel string, id int) string {
		return message(fmt.Sprintf(`{"command":"join","args":{"channel":%q},"id":%d}`, channel, id))
	}
	p.write(masked(0x80|opPing, "0") + say("a", 1) + masked(0x80|opPing, "1") + say("b", 2) + masked(0x80|opPing, "2"))
	for i := range 3 {
		p.expect(opPong, fmt.Sprint(i))
	}
	cut := say("c", 3) + masked(0x80|opPong, "") + masked(0x80|opPing, "3")
	for i := range len(cut) {
		p.write(cut[i : i+1])
	}
	p.expect(opPong, "3")
	p.write(masked(opText, `{"command":"join",`) + masked(0x80|opPing, "4") + masked(0x80, `"args":{"channel":"d"},"id":4}`) + masked(0x80|opPing, "5"))
	p.expect(opPong, "4")
	p.expect(opPong, "5")
	testtool.Until(t, "the first question is under way", func() bool { return len(hook.questions("join")) > 0 })
	if n := len(hook.questions("join")); n != 1 {
		t.Errorf("%d questions are in progress, want 1", n)
	}
	release()
	for i := range 4 {
		p.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i+1))
	}
	p.usable()
}
