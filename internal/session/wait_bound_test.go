package session

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"wsify/auth"
	"wsify/netpoll"
)

// The authorizer's timeout starts when a session parks, not when a worker takes the call.
// So no session waits longer, however many are before it in the queue.
func TestParkedSessionsWaitNoLongerThanTheAuthorizersTimeout(t *testing.T) {
	t.Parallel()
	const n = 14
	srv := start(t, Config{
		AuthorizerURL: speaking("")(t), AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Second, Workers: 1, Queue: 4, Loops: 1,
	})
	peers := connectMany(t, srv, n)
	release := holdLoop(t, srv.loops[0]) // so that they park together
	for _, p := range peers {
		p.send(`{"command":"join","args":{"channel":"held"},"id":1}`)
	}
	release()
	for _, p := range peers {
		p.expectText(`{"id":1,"ok":false,"error":{"code":"authorizer_down","message":"the authorizer cannot be reached"}}`)
		p.expectClose(1013)
	}
	about := &srv.authorizer[eventJoin.index()]
	if made := about[auth.ResultTimeout].Load(); made > n/2 {
		t.Errorf("the only worker waited for %d timeouts, so the last session waited for as many seconds", made)
	}
	if all := about[auth.ResultTimeout].Load() + about[auth.ResultBusy].Load(); all != n {
		t.Errorf("%d calls were counted, want %d", all, n)
	}
}

// The log says when the authorizer goes down and when it is back, not once per call.
func TestLogTellsWhenTheAuthorizerGoesAndIsBack(t *testing.T) {
	hook := newWebhook(t, nil)
	srv, book := startLogged(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect"}})
	ask := func(status, times int) {
		hook.answerStatus(func(question) int { return status })
		for range times {
			p := dial(t, srv)
			p.write(upgradeHead("/ws"))
			p.response()
		}
	}
	lines := func(text string) int { return strings.Count(book.String(), text) }
	const down, back = `level=WARN msg="the authorizer is down`, `level=INFO msg="the authorizer is back`
	ask(200, 2)
	if lines(down)+lines(back) > 0 {
		t.Errorf("an authorizer that answers is logged:\n%s", book)
	}
	ask(500, 1)
	ask(200, 2)
	const once = `level=WARN msg="a call to the authorizer failed`
	if lines(down)+lines(back) > 0 || lines(once) != 1 || !strings.Contains(book.String(), `cause="authorizer answered 500 Internal Server Error"`) {
		t.Errorf("one failure is logged as:\n%s", book)
	}
	ask(503, 5)
	ask(403, 5)
	if lines(down) != 1 || lines(back) != 1 || lines(`cause="authorizer answered 503 Service Unavailable"`) == 0 {
		t.Errorf("an authorizer that was down is logged %d times as down and %d times as back", lines(down), lines(back))
	}
	for range 5 {
		ask(http.StatusBadGateway, 1)
		ask(http.StatusOK, 1)
	}
	if lines(down) > 1 || lines(back) > 1 {
		t.Errorf("an authorizer that comes and goes is logged %d times as down and %d times as back within moments", lines(down), lines(back))
	}
}

// The query of an upgrade is kept only if later commands are authorized.
func TestQueryIsKeptOnlyForLaterQuestions(t *testing.T) {
	hook := newWebhook(t, nil)
	for _, tc := range []struct {
		events []string
		kept   bool
	}{{[]string{"connect"}, false}, {[]string{"join"}, true}, {[]string{"connect", "leave"}, true}} {
		srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: tc.events, Loops: 1})
		connect(t, srv, "/ws?token=x")
		l := srv.loops[0]
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if kept := l.session(c).more != none; kept != tc.kept {
					t.Errorf("asked about %v: the session has an extra: %v, want %v", tc.events, kept, tc.kept)
				}
			})
		})
	}
}
