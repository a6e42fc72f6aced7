package session

import (
	"net"
	"sync"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// shutdown starts Shutdown and returns a chan for its result.
func shutdown(srv *Server) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown() }()
	return ended
}

// await waits for the result on the chan from shutdown.
func await(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Shutdown does not return")
	}
}

// TestShutdownOfEverySession: in every state of a session, its peer is told to
// reconnect, by 1012 or by 503.
func TestShutdownOfEverySession(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "join"}, AuthorizerTimeout: patience})
	idle, parkedPeer, half := connect(t, srv, "/ws"), connect(t, srv, "/ws"), connect(t, srv, "/ws")
	many := make([]*peer, 600) // more than a loop closes in one turn
	for i := range many {
		many[i] = connect(t, srv, "/ws")
	}
	half.write(message(`{"command":"leave"}`)[:10])
	release := hook.hold(nil)
	parkedPeer.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	connectingPeer, handshakingPeer, kept := dial(t, srv), dial(t, srv), dial(t, srv)
	connectingPeer.write(upgradeHead("/ws"))
	handshakingPeer.write("GET /ws HTTP/1.1\r\n")
	kept.write(postRequest("/broadcast", `{"channel":"d"}`))
	kept.expectStatus(201)
	hook.awaitQuestions(1, "join")
	testtool.Until(t, "the upgrade is asked about", func() bool { return sessionsIn(t, srv, connecting) == 1 })
	testtool.Until(t, "the head has begun", func() bool { return sessionsIn(t, srv, handshaking) == 1 })

	ended := shutdown(srv)
	for _, p := range append(many, idle, parkedPeer, half) {
		p.expectClose(1012)
	}
	for _, p := range []*peer{connectingPeer, handshakingPeer} {
		if res := p.expectStatus(503); res.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After")
		}
		p.expectEnd()
	}
	kept.expectEnd()
	release()
	await(t, ended)
	if st := srv.Stats(); st.Closed["shutdown"] != 606 {
		t.Errorf("Stats().Closed = %v, want 606 by shutdown", st.Closed)
	}
}

// TestShutdownIsBoundedByTheDrainTimeout: neither a peer that never reads, nor one
// that sends half a request, nor an authorizer that hangs can delay it further.
func TestShutdownIsBoundedByTheDrainTimeout(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{
		WriteQueueSize: 64 << 10, DropSlow: true,
		AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Hour,
	})
	srv.drain = 100 * time.Millisecond
	_, quick := slowPeer(t, srv)
	fill(t, srv, quick)
	half := dial(t, srv)
	half.write("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	testtool.Until(t, "the request has begun", func() bool { return srv.requestsUnderWay() == 1 })
	release := hook.hold(nil)
	quick.send(`{"command":"join","args":{"channel":"d"}}`)
	hook.awaitQuestions(3, "join")
	await(t, shutdown(srv))
	release()
	testtool.Until(t, "the call to the authorizer has ended", func() bool { running, _ := srv.workers.Busy(); return running == 0 })
}

// TestShutdownAnswersHTTPUnderWay: the server answers a request in progress, and no
// further one on its connection. New connections are not accepted.
func TestShutdownAnswersHTTPUnderWay(t *testing.T) {
	srv := start(t, Config{})
	request := postRequest("/broadcast", `{"channel":"c","content":1}`)
	p := dial(t, srv)
	p.write(request)
	p.expectStatus(201)
	p.write(request[:len(request)-5])
	testtool.Until(t, "the second request has begun", func() bool { return srv.requestsUnderWay() == 1 })
	ended := shutdown(srv)
	testtool.Until(t, "nobody can connect", func() bool {
		c, err := net.Dial("tcp", srv.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	select {
	case <-ended:
		t.Fatal("Shutdown returned before the request was answered")
	default:
	}
	p.write(request[len(request)-5:] + request)
	if res := p.expectStatus(201); !res.close {
		t.Error("the connection is kept open")
	}
	p.expectEnd()
	await(t, ended)
}

// TestShutdownTwice: later and simultaneous calls wait for the first and do nothing.
func TestShutdownTwice(t *testing.T) {
	srv := start(t, Config{})
	_ = connect(t, srv, "/ws").Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := srv.Shutdown(); err != nil {
				t.Error(err)
			}
			if n := srv.Stats().Net.Connections; n != 0 {
				t.Errorf("%d connections after Shutdown", n)
			}
		})
	}
	all.Wait()
	if err := srv.Shutdown(); err != nil {
		t.Error(err)
	}
}

// TestWhatWasPublishedIsHeardBeforeTheShutdown: 201 is a promise, so the members get
// the publication before they are told to reconnect.
func TestWhatWasPublishedIsHeardBeforeTheShutdown(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	members := make([]*peer, 600) // more than a turn delivers
	for i := range members {
		members[i] = connect(t, srv, "/ws")
		members[i].join("c")
	}
	post201(t, srv, "c", `"the last"`)
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown() }()
	for _, m := range members {
		m.expectText(`"the last"`)
	}
	for _, m := range members {
		_ = m.Close()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
