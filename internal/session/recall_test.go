package session

import (
	"net/http"
	"slices"
	"testing"

	"wsify/internal/testtool"
)

// newCachingWebhook names the user of the query, lets its answers be kept as it says, and denies the
// channel "no".
func newCachingWebhook(t *testing.T, control string) *webhook {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, q question) {
		w.Header().Set("Cache-Control", control)
		naming(w, q)
		switch q.header.Get("X-Wsify-Channel") {
		case "no":
			w.Header().Set("X-Wsify-Reason", "never")
			w.WriteHeader(403)
		case "down":
			w.WriteHeader(503)
		}
	})
	return hook
}

// TestTheSameQuestionOfAUserIsAskedOnce, on all of the user's connections; that of another user, or
// another question, is asked anew. The answers are counted as cached.
func TestTheSameQuestionOfAUserIsAskedOnce(t *testing.T) {
	hook := newCachingWebhook(t, "max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	first, second, other := connect(t, srv, "/ws?user=ann"), connect(t, srv, "/ws?user=ann"), connect(t, srv, "/ws?user=bob")
	const denied = `{"id":1,"ok":false,"error":{"code":"denied","message":"never"}}`
	for _, p := range []*peer{first, first, second} {
		p.join("c")
		p.send(`{"command":"join","args":{"channel":"no"},"id":1}`)
		p.expectText(denied)
	}
	if n := len(hook.questions("join")); n != 2 {
		t.Errorf("%d questions about two joins of ann, want 2", n)
	}
	if n := srv.Stats().Authorizer["join"]["cached"]; n != 4 {
		t.Errorf("%d are counted as cached, want 4", n)
	}
	other.join("c")
	first.send(`{"command":"join","args":{"channel": "c"},"id":1}`) // a space more
	first.expectText(`{"id":1,"ok":true}`)
	first.send(`{"command":"join","args":{"channel":"c","token":1},"id":1}`)
	first.expectText(`{"id":1,"ok":true}`)
	if n := len(hook.questions("join")); n != 5 {
		t.Errorf("%d questions, want 3 more: for another user, and two other questions", n)
	}
	if n := len(hook.questions("connect")); n != 3 {
		t.Errorf("%d questions about three connections, want 3", n)
	}
}

// TestWithoutAUserAnAnswerIsForItsConnection.
func TestWithoutAUserAnAnswerIsForItsConnection(t *testing.T) {
	hook := newCachingWebhook(t, "max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for range 2 {
		p := connect(t, srv, "/ws")
		p.join("c", "c", "c")
	}
	if n := len(hook.questions("join")); n != 2 {
		t.Errorf("%d questions about the joins of two connections, want 2", n)
	}
}

// TestAPublicAnswerIsForEverybody, at connect for those who send the same headers and query. Who they
// are is kept with it.
func TestAPublicAnswerIsForEverybody(t *testing.T) {
	hook := newCachingWebhook(t, "max-age=60, public")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for i, target := range []string{"/ws?user=ann", "/ws?user=ann", "/ws?user=bob", "/ws", "/ws?user=ann"} {
		p := dial(t, srv)
		nonce := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ" + string("QRSTU"[i]) + "==" // each client has its own
		p.write("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			nonce + "\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333" + string("12345"[i]) + "-01\r\n\r\n")
		p.expectStatus(101)
		p.join("c")
	}
	if n := len(hook.questions("connect")); n != 3 {
		t.Errorf("%d questions about connections that ask three things, want 3", n)
	}
	if n := len(hook.questions("join")); n != 1 {
		t.Errorf("%d questions about the same join of everybody, want 1", n)
	}
	if got, want := srv.Stats().Authorizer["connect"]["cached"], uint64(2); got != want {
		t.Errorf("%d connections are counted as cached, want %d", got, want)
	}
	users := map[string]int{}
	for _, info := range listed(t, srv, ConnFilter{}, 10) {
		users[info.User]++
	}
	if users["ann"] != 3 || users["bob"] != 1 || users[""] != 1 {
		t.Errorf("the connections are those of %v, want 3 of ann, 1 of bob and 1 of nobody", users)
	}
}

// TestAConnectAnswerThatIsNotPublicIsAskedEachTime, and so is one that is down, that must not be
// kept, or that is too old.
func TestAConnectAnswerThatIsNotPublicIsAskedEachTime(t *testing.T) {
	for _, control := range []string{"max-age=60", "private, max-age=60", "public", "public, max-age=0", "public, max-age=60, no-store", "public, max-age=x"} {
		hook := newCachingWebhook(t, control)
		srv := start(t, Config{AuthorizerURL: hook.URL})
		for range 2 {
			connect(t, srv, "/ws?user=ann")
		}
		if n := len(hook.questions("connect")); n != 2 {
			t.Errorf("Cache-Control: %s: %d questions about two connections, want 2", control, n)
		}
	}
}

func TestDownIsNeverKept(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for range 2 {
		p := connect(t, srv, "/ws")
		p.send(`{"command":"join","args":{"channel":"down"}}`)
		p.expectClose(1013)
	}
	if n := len(hook.questions("join")); n != 2 {
		t.Errorf("%d questions, want 2", n)
	}
}

// TestACacheOfNothingAsksEachTime: -authorizer-cache 0.
func TestACacheOfNothingAsksEachTime(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerCache: -1})
	connect(t, srv, "/ws").join("c", "c")
	if n := len(hook.questions("join")); n != 2 {
		t.Errorf("%d questions, want 2", n)
	}
}

// TestADeniedUpgradeIsRefusedFromTheCache, with its reason.
func TestADeniedUpgradeIsRefusedFromTheCache(t *testing.T) {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, _ question) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("X-Wsify-Reason", "banned")
		w.WriteHeader(403)
	})
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for range 3 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws"))
		if res := p.expectStatus(403); res.body != "banned\n" {
			t.Errorf("the body is %q, want the reason", res.body)
		}
		p.expectEnd()
	}
	if n := len(hook.questions("connect")); n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
}

// TestACachedAnswerNeedsNoWorker: commands whose answer is known take effect while all workers hang.
func TestACachedAnswerNeedsNoWorker(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL, Workers: 1, AuthorizerTimeout: patience})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("c")
	release := hook.hold(func(q question) bool { return q.header.Get("X-Wsify-Channel") == "slow" })
	q.send(`{"command":"join","args":{"channel":"slow"},"id":2}`)
	testtool.Until(t, "the only worker hangs", func() bool { return len(hook.questions("join")) == 2 })
	p.join("c")
	late := connect(t, srv, "/ws")
	late.join("c")
	release()
	q.expectText(`{"id":2,"ok":true}`)
}

// TestWhatWaitsForAWorkerIsAnsweredFromTheCache: of many that ask the same at once, only those that
// have a worker by then ask.
func TestWhatWaitsForAWorkerIsAnsweredFromTheCache(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL, Workers: 1, AuthorizerTimeout: patience, AuthorizerEvents: []string{"join"}})
	var peers []*peer
	for range 20 {
		peers = append(peers, connect(t, srv, "/ws"))
	}
	release := hook.hold(is("join"))
	for _, p := range peers {
		p.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	}
	testtool.Until(t, "the others wait", func() bool { _, waiting := srv.workers.Busy(); return waiting == len(peers)-1 })
	release()
	for _, p := range peers {
		p.expectText(`{"id":1,"ok":true}`)
	}
	if n := len(hook.questions("join")); n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
}

// TestOrderHoldsWithCachedAnswers: a command whose answer is known waits for the one before it.
func TestOrderHoldsWithCachedAnswers(t *testing.T) {
	hook := newCachingWebhook(t, "max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	p := connect(t, srv, "/ws?user=ann")
	p.join("a")
	p.leave("a")
	release := hook.hold(func(q question) bool { return q.header.Get("X-Wsify-Channel") == "b" })
	p.send(`{"command":"join","args":{"channel":"b"},"id":"b"}`)
	p.send(`{"command":"join","args":{"channel":"a"},"id":"a"}`)
	hook.awaitQuestions(2, "join")
	p.expectNothing()
	release()
	p.expectText(`{"id":"b","ok":true}`, `{"id":"a","ok":true}`)
}

// TestAStreamIsAnsweredFromTheCache: the connection and its channels.
func TestAStreamIsAnsweredFromTheCache(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for range 3 {
		s := openStream(t, srv, "/sse?channel=a&channel=b&user=ann")
		post201(t, srv, "b", "1")
		s.expectEvents(`{"channel":"b","content":1}`)
	}
	for range 2 {
		p := dial(t, srv)
		p.write("GET /sse?channel=no HTTP/1.1\r\nHost: x\r\n\r\n")
		if res := p.expectStatus(403); res.body != "never\n" {
			t.Errorf("the body is %q, want the reason", res.body)
		}
	}
	if got, want := asked(hook), []string{"connect", "join a", "join b", "connect", "join no"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// TestAQueryThatCannotBeDecodedIsAQuestionOfItsOwn: the body of the question does not have it, but the
// authorizer sees it in a header, and may let one of them in.
func TestAQueryThatCannotBeDecodedIsAQuestionOfItsOwn(t *testing.T) {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, q question) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if q.header.Get("X-Wsify-Query") != "token=100%" {
			w.WriteHeader(403)
		}
	})
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for range 2 {
		connect(t, srv, "/ws?token=100%")
		for _, query := range []string{"token=1%", "token=%FF", "token=%FE", ""} {
			p := dial(t, srv)
			p.write(upgradeHead("/ws?" + query))
			p.expectStatus(403)
		}
	}
	if n := len(hook.questions("connect")); n != 5 {
		t.Errorf("%d questions, want one for each query", n)
	}
}
