package auth

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// The other end closes the connection between two calls, with FIN or RST.
func TestConnectionClosedWhileIdleIsNoDown(t *testing.T) {
	for end, hangUp := range map[string]func(*line){"FIN": func(*line) {}, "RST": (*line).reset} {
		t.Run(end, func(t *testing.T) {
			p := newPeer(t, func(l *line) {
				l.request()
				l.say(yes)
				hangUp(l)
			})
			c := newClient(t, Config{URL: p.URL})
			for range 100 {
				wants(t, c, Allow, ResultAllow)
				if t.Failed() {
					return
				}
			}
			if n := p.requests.Load(); n != 100 {
				t.Errorf("100 questions were read %d times", n)
			}
		})
	}
}

// The other end closes the connection when the next question is already on its way.
func TestConnectionClosedUnderTheQuestionIsTriedOnceMore(t *testing.T) {
	for end, hangUp := range map[string]func(*line){"FIN": func(*line) {}, "RST": (*line).reset} {
		t.Run(end, func(t *testing.T) {
			p := newPeer(t, func(l *line) {
				l.request()
				l.say(yes)
				l.request()
				hangUp(l)
			})
			c := newClient(t, Config{URL: p.URL})
			wants(t, c, Allow, ResultAllow)
			wants(t, c, Allow, ResultAllow)
			if conns, requests := p.conns.Load(), p.requests.Load(); conns != 2 || requests != 3 {
				t.Errorf("%d connections and %d requests, want 2 and 3", conns, requests)
			}
		})
	}
}

func TestQuestionIsNeverSentThreeTimes(t *testing.T) {
	p := newPeer(t, func(l *line) {
		l.request()
		if l.number == 1 {
			l.say(yes)
			l.request()
		}
	})
	c := newClient(t, Config{URL: p.URL})
	wants(t, c, Allow, ResultAllow)
	wants(t, c, Down, ResultReset)
	if conns, requests := p.conns.Load(), p.requests.Load(); conns != 2 || requests != 3 {
		t.Errorf("%d connections and %d requests, want 2 and 3", conns, requests)
	}
}

func TestAnsweredByteForbidsASecondTry(t *testing.T) {
	for _, first := range []string{"H", "HTTP/1.1 2", head("100 Continue")} {
		p := newPeer(t, func(l *line) {
			l.request()
			l.say(yes)
			l.request()
			l.say(first)
		})
		c := newClient(t, Config{URL: p.URL})
		wants(t, c, Allow, ResultAllow)
		wants(t, c, Down, ResultReset)
		if n := p.requests.Load(); n != 2 {
			t.Errorf("after %q the question was sent again: %d requests, want 2", first, n)
		}
	}
}

func TestTimeoutForbidsASecondTry(t *testing.T) {
	p := newPeer(t, func(l *line) {
		l.request()
		l.say(yes)
		l.request()
		l.hang()
	})
	c := newClient(t, Config{URL: p.URL})
	wants(t, c, Allow, ResultAllow)
	c.timeout = haste
	wants(t, c, Down, ResultTimeout)
	testtool.Until(t, "the second question has come", func() bool { return p.requests.Load() > 1 })
	if n := p.requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// A webhook that closes after each answer without announcing it makes every connection stale, at
// any moment, for all callers.
func TestWebhookThatNeverKeepsAlive(t *testing.T) {
	p := newPeer(t, func(l *line) {
		if l.request() {
			l.say(yes)
		}
	})
	c := newClient(t, Config{URL: p.URL, MaxConns: 8})
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 30 {
				wants(t, c, Allow, ResultAllow)
			}
		})
	}
	callers.Wait()
}

func TestUnaskedBytesMakeAConnectionStale(t *testing.T) {
	p := newPeer(t, func(l *line) {
		l.say(head("408 Request Timeout", "Content-Length: 0"))
		<-l.peer.closing
	})
	c := newClient(t, Config{URL: p.URL})
	l := dialLink(t, c)
	for !l.stale() { // until the bytes have arrived
		runtime.Gosched()
	}
}

// A name that has changed is looked up for a new connection only.
func TestConnectionIsNotUsedForEver(t *testing.T) {
	hook := newWebhook(t, status(200))
	c := newClient(t, Config{URL: hook.URL})
	if c.dialer.maxAge != time.Minute {
		t.Errorf("a connection is used for %s, want a minute", c.dialer.maxAge)
	}
	c.dialer.maxAge = 0
	for range 3 {
		wants(t, c, Allow, ResultAllow)
	}
	if n := hook.conns.Load(); n != 3 {
		t.Errorf("%d connections were made for three calls, each too late for the one before, want 3", n)
	}
}

func TestOpenConnectionIsNotStale(t *testing.T) {
	p := newPeer(t, (*line).hang)
	if dialLink(t, newClient(t, Config{URL: p.URL})).stale() {
		t.Error("an idle open connection is taken for stale")
	}
	hook := newTLSWebhook(t)
	l := dialLink(t, newClient(t, Config{URL: hook.URL, TLSConfig: trusting(hook)}))
	if l.stale() { // session tickets may wait in it
		t.Error("an idle open TLS connection is taken for stale")
	}
	hook.CloseClientConnections()
	for !l.stale() {
		runtime.Gosched()
	}
}

func dialLink(t *testing.T, c *Client) *link {
	t.Helper()
	conn, err := c.dialer.pooled("", patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*link)
}
