package session

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"wsify/internal/testtool"
)

// TestOneQuestionAtATime (I6, I7): the authorizer gets the questions of a connection
// one at a time and in the order of its commands. Slow answers and many connections
// do not change that.
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
		if turns.Add(1)%7 == 0 { // let other connections go first
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
		t.Errorf("%d questions of one connection were in progress at once, want 1", most)
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

// TestFullPool: when workers and queue are full, sessions wait and lose nothing, and new
// upgrades get 503. When there is room again, all sessions continue.
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
	testtool.Until(t, "all sessions wait", func() bool { return sessionsIn(t, srv, parked) == len(peers) })
	for range 3 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws"))
		if res := p.expectStatus(503); res.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After: %+v", res)
		}
		p.expectEnd()
	}
	if n := len(hook.questions("join")); n != 1 {
		t.Errorf("%d questions in progress with 1 worker", n)
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

// TestAClientThatDisconnectsBeforeItsTurnIsNotAskedAbout: in a storm of reconnects, calls
// for clients that gave up would delay the others.
func TestAClientThatDisconnectsBeforeItsTurnIsNotAskedAbout(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, Workers: 1, Queue: 100})
	release := hook.hold(nil)
	first := dial(t, srv)
	first.write(upgradeHead("/ws"))
	hook.awaitQuestions(1, "connect") // the only worker is busy
	impatient := make([]*peer, 20)
	for i := range impatient {
		impatient[i] = dial(t, srv)
		impatient[i].write(upgradeHead("/ws"))
	}
	testtool.Until(t, "all wait", func() bool { return sessionsIn(t, srv, connecting) == 1+len(impatient) })
	for _, p := range impatient {
		p.closeWrite()
		p.expectEnd()
	}
	last := dial(t, srv)
	last.write(upgradeHead("/ws"))
	release()
	first.expectStatus(101)
	last.expectStatus(101)
	if n := len(hook.questions("connect")); n != 2 {
		t.Errorf("%d questions, want those of the two that waited", n)
	}
}

// TestLeavingWhileParked: a connection that ends during the authorizer's call leaks
// nothing, however it ends.
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
		testtool.Until(t, "the membership is gone", func() bool { return srv.members(t, "c") == 1 })
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
		testtool.Until(t, "the connection is gone", func() bool { return srv.Stats().Net.Connections == 1 })
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
	testtool.Until(t, "one connection is left", func() bool { return srv.Stats().Net.Connections == 1 })
	if n := srv.members(t, "c"); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
}

// TestParkedSessionIsNotRead: the peer's own TCP connection is the queue. The input
// during an authorizer's call is bounded, and nothing of it is lost.
func TestParkedSessionIsNotRead(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: patience, WriteQueueSize: 256 << 20})
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
	// The loops keep running while the session is not read.
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
