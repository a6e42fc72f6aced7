package auth

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestConnectionIsReused(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"empty":  status(200),
		"length": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) },
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("fi"))
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("ne"))
		},
		"just small enough": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, defaultMaxResponseSize))
		},
	}
	for name, handler := range answers {
		t.Run(name, func(t *testing.T) {
			hook := newWebhook(t, handler)
			c := newClient(t, Config{URL: hook.URL})
			for range 50 {
				wants(t, c, Allow, ResultAllow)
			}
			if n := hook.conns.Load(); n != 1 {
				t.Errorf("50 calls made %d connections, want 1", n)
			}
		})
	}
}

func TestConnectionIsNotReusedAfter(t *testing.T) {
	answers := map[string]string{
		"Connection: close":   head("200 OK", "Content-Length: 0", "Connection: close"),
		"a body too large":    head("200 OK", "Content-Length: 65537") + strings.Repeat("x", 65537),
		"more than was asked": yes + "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0":            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, answering(answer)) // one answer per connection
			c := newClient(t, Config{URL: p.URL})
			for range 3 {
				wants(t, c, Allow, ResultAllow)
			}
			if n := p.conns.Load(); n != 3 {
				t.Errorf("three calls made %d connections, want 3", n)
			}
		})
	}
}

func TestWebhookRestart(t *testing.T) {
	start := func(addr string, conns int32) (*httptest.Server, string) {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		var inside atomic.Int32
		all := make(chan struct{})
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n := inside.Add(1); n == conns {
				close(all)
			}
			<-all // makes the callers need that many connections
		}))
		_ = server.Listener.Close()
		server.Listener = listener
		server.Start()
		return server, listener.Addr().String()
	}
	server, addr := start("127.0.0.1:0", 20)
	defer func() { server.Close() }()
	c := newClient(t, Config{URL: "http://" + addr})
	callers := sync.WaitGroup{}
	for range 20 {
		callers.Go(func() { wants(t, c, Allow, ResultAllow) })
	}
	callers.Wait()

	server.CloseClientConnections()
	server.Close()
	wants(t, c, Down, ResultUnreachable)

	server, _ = start(addr, 1)
	for range 40 { // more than the connections of the previous part
		wants(t, c, Allow, ResultAllow)
	}
}

func TestAcceptThatComesLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	url := "http://" + listener.Addr().String()
	wants(t, newClient(t, Config{URL: url, Timeout: haste}), Down, ResultTimeout)

	// The question above has timed out in the backlog; the next one is behind it.
	done := make(chan struct{})
	go func() {
		defer close(done)
		wants(t, newClient(t, Config{URL: url}), Allow, ResultAllow)
	}()
	server := &http.Server{Handler: status(200)}
	defer server.Close()
	go func() { _ = server.Serve(listener) }()
	<-done
}

func TestHangIsDown(t *testing.T) {
	p := newPeer(t, (*line).hang)
	c := newClient(t, Config{URL: p.URL, Timeout: haste})
	start := time.Now()
	wants(t, c, Down, ResultTimeout)
	if took := time.Since(start); took < haste {
		t.Errorf("given up after %s, before the timeout of %s", took, haste)
	}
}

func TestAtMostMaxConnsCallsAreUnderWay(t *testing.T) {
	const limit, calls = 3, 24
	var inside, peak atomic.Int32
	full, open := make(chan struct{}), make(chan struct{})
	hook := newWebhook(t, func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		if n == limit {
			select {
			case <-open:
			default:
				close(full)
			}
		}
		<-open
	})
	c := newClient(t, Config{URL: hook.URL, MaxConns: limit})
	var callers sync.WaitGroup
	for range calls {
		callers.Go(func() { wants(t, c, Allow, ResultAllow) })
	}
	<-full
	close(open)
	callers.Wait()
	if n := peak.Load(); n > limit {
		t.Errorf("%d calls were under way at once, want at most %d", n, limit)
	}
	if n := hook.conns.Load(); n > limit {
		t.Errorf("%d connections were made, want at most %d", n, limit)
	}
}

func TestPlaceThatNeverComesFreeIsDown(t *testing.T) {
	hook := newWebhook(t, status(200))
	c := newClient(t, Config{URL: hook.URL, MaxConns: 1, Timeout: haste})
	conn, err := c.host.AcquireConn(patience, false)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, c, Down, ResultBusy)
	c.host.CloseConn(conn)
	wants(t, newClient(t, Config{URL: hook.URL, MaxConns: 1}), Allow, ResultAllow)
}

func TestCountOfConnectionsSurvivesFailures(t *testing.T) {
	var calls atomic.Int32
	p := newPeer(t, func(l *line) {
		for l.request() {
			switch calls.Add(1) % 5 {
			case 0:
				l.reset()
				return
			case 1:
				l.say("garbage\r\n\r\n")
				return
			case 2:
				l.say("HTTP/1.1 2")
				return
			default:
				l.say(yes)
			}
		}
	})
	c := newClient(t, Config{URL: p.URL, MaxConns: 2})
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			for range 50 {
				if d, cause := c.Ask(join()); ResultOf(d, cause) == ResultBusy || ResultOf(d, cause) == ResultInternal {
					t.Errorf("Ask = %v, %v", d, cause)
				}
			}
		})
	}
	callers.Wait()
	c.Close()
	if n := c.host.ConnsCount(); n != 0 {
		t.Errorf("the pool counts %d connections after Close, want 0", n)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	ended := make(chan struct{})
	p := newPeer(t, func(l *line) {
		l.request()
		l.say(yes)
		l.hang()
		close(ended)
	})
	c := newClient(t, Config{URL: p.URL})
	c.host.MaxIdleConnDuration = time.Millisecond
	wants(t, c, Allow, ResultAllow)
	<-ended
}

func TestIPv6(t *testing.T) {
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 on this machine: %v", err)
	}
	hook := httptest.NewUnstartedServer(status(200))
	hook.Listener.Close()
	hook.Listener = listener
	hook.Start()
	defer hook.Close()
	wants(t, newClient(t, Config{URL: "http://" + listener.Addr().String()}), Allow, ResultAllow)

	// Both are tried for a name: wherever localhost points, one of them is our listener.
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if addrs, _ := net.LookupHost("localhost"); strings.Contains(strings.Join(addrs, " "), "::1") {
		wants(t, newClient(t, Config{URL: "http://localhost:" + port}), Allow, ResultAllow)
	}
}
