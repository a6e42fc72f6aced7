package session

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// newExpiringWebhook bounds the life of each connection.
func newExpiringWebhook(t *testing.T, seconds string) *webhook {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, q question) {
		if q.command == "connect" {
			w.Header().Set("X-Wsify-Expires", seconds)
		}
	})
	return hook
}

// TestASessionEndsWhenItsTimeIsOver, with 4004, with pings or without: while it is idle, answers
// pings, does not answer them, or waits for the authorizer.
func TestASessionEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no pings":    {PingInterval: -1},
		"rare pings":  {PingInterval: time.Hour},
		"many pings":  {PingInterval: 20 * time.Millisecond, PongTimeout: time.Hour},
		"no time":     {PingInterval: time.Hour, PongTimeout: time.Hour},
		"some events": {PingInterval: -1, AuthorizerEvents: []string{"connect"}},
	} {
		t.Run(name, func(t *testing.T) {
			seconds := "0.2"
			if name == "no time" {
				seconds = "-1"
			}
			cfg.AuthorizerURL = newExpiringWebhook(t, seconds).URL
			srv := start(t, cfg)
			began := time.Now()
			p := connect(t, srv, "/ws")
			expectCloseAmongPings(p, 4004)
			if took := time.Since(began); seconds == "0.2" && took < 150*time.Millisecond {
				t.Errorf("the session ended after %v, want 0.2 s", took)
			}
			testtool.Until(t, "it is counted as expired", func() bool { return srv.Stats().Closed["expired"] == 1 })
		})
	}
}

// expectCloseAmongPings reads until the Close frame, and answers no ping.
func expectCloseAmongPings(p *peer, code int) {
	p.t.Helper()
	for {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("%v, want a Close frame", err)
		}
		if f.op == opPing {
			continue
		}
		if got := fmt.Sprint(f.op, int(f.payload[0])<<8|int(f.payload[1])); got != fmt.Sprint(opClose, code) {
			p.t.Fatalf("got %s, want a Close frame with %d", got, code)
		}
		return
	}
}

// TestAParkedSessionExpires: it does not wait for the authorizer any longer.
func TestAParkedSessionExpires(t *testing.T) {
	hook := newExpiringWebhook(t, "0.3")
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: patience})
	release := hook.hold(is("join"))
	p := connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"c"},"id":1}`) // in time, but on a machine that stalls
	p.expectClose(4004)
	release()
}

// TestTheNextConnectionInASlotHasItsOwnTime, and memory for times exists only once there is one.
func TestTheNextConnectionInASlotHasItsOwnTime(t *testing.T) {
	hook := newExpiringWebhook(t, "3600")
	srv := start(t, Config{AuthorizerURL: hook.URL, Loops: 1})
	l := srv.loops[0]
	bound := func() (left time.Duration, bound bool) { // of the only connection
		onLoop(t, l, func() { l.net.Each(func(c *netpoll.Conn) { left, bound = l.timeLeft(c) }) })
		return left, bound
	}
	p := connect(t, srv, "/ws")
	if left, ok := bound(); !ok || left < 59*time.Minute || left > time.Hour {
		t.Errorf("the first has %v left, %t; want an hour", left, ok)
	}
	p.Close()
	testtool.Until(t, "it has ended", func() bool { return srv.Connections() == 0 })
	hook.answerStatus(nil)
	for i := range 3 { // one of them gets the slot
		p := connect(t, srv, "/ws")
		if left, ok := bound(); ok {
			t.Errorf("connection %d after it has %v left, want no bound", i, left)
		}
		p.Close()
		testtool.Until(t, "it has ended", func() bool { return srv.Connections() == 0 })
	}
	plain := start(t, Config{AuthorizerURL: hook.URL, Loops: 1})
	connect(t, plain, "/ws").usable()
	onLoop(t, plain.loops[0], func() {
		if plain.loops[0].expiries.Has(0) {
			t.Error("there is memory for times, though the authorizer has given none")
		}
	})
}

// TestTheAuthorizerSaysWhy: its reason is the body of the 403, and the message of the error.
func TestTheAuthorizerSaysWhy(t *testing.T) {
	hook := newWebhook(t, nil)
	refuse := func(command, reason string) {
		hook.answerWith(func(w http.ResponseWriter, q question) {
			if q.command == command {
				w.Header().Set("X-Wsify-Reason", reason)
				w.WriteHeader(403)
			}
		})
	}
	srv := start(t, Config{AuthorizerURL: hook.URL})
	refuse("connect", "the%20trial is over, Jos%C3%A9")
	p := dial(t, srv)
	p.write(upgradeHead("/ws"))
	if res := p.expectStatus(403); res.body != "the trial is over, José\n" {
		t.Errorf("the body is %q", res.body)
	}
	refuse("join", `%22friends%22 only`)
	q := connect(t, srv, "/ws")
	q.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	q.expectText(`{"id":1,"ok":false,"error":{"code":"denied","message":"\"friends\" only"}}`)
	refuse("join", `a%0Ab`)
	q.send(`{"command":"join","args":{"channel":"c"},"id":2}`)
	q.expectText(`{"id":2,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`)
	if n := srv.Stats().Ignored["X-Wsify-Reason"]; n != 1 {
		t.Errorf("%d reasons are counted as ignored, want 1", n)
	}
}

// TestTheTimeOfAStreamBeginsWithItsAnswer, not when it opens: more questions may be asked until then.
func TestTheTimeOfAStreamBeginsWithItsAnswer(t *testing.T) {
	hook := newExpiringWebhook(t, "3600")
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: patience})
	hook.hold(is("join"))
	dial(t, srv).write(streamHead("/sse?channel=a"))
	hook.awaitQuestions(1, "join")
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if left, bound := l.timeLeft(c); !bound || left > time.Hour {
					t.Errorf("it has %v left, %t; want an hour", left, bound)
				}
			})
		})
	}
}
