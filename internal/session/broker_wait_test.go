package session

import (
	"fmt"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// waitForSubscription joins "held" on n connections and waits until all are parked.
func waitForSubscription(t *testing.T, srv *Server, n int) []*peer {
	t.Helper()
	waiting := parkMany(t, srv, n)
	awaitParked(t, srv, n)
	return waiting
}

// Connections end in every way while their join waits for the engine. The later answers
// have no recipient, and nothing is leaked.
func TestSessionsThatEndWhileTheyWaitForASubscription(t *testing.T) {
	const n = 40
	for name, outcome := range map[string]error{"confirmed": nil, "refused": errTest} {
		t.Run(name, func(t *testing.T) {
			b := &testBroker{asynchronous: true}
			srv := startWith(t, Config{}, b)
			waiting := waitForSubscription(t, srv, n)
			for i, p := range waiting {
				p.endSomehow(i)
			}
			testtool.Until(t, "who was reset is gone", func() bool { return srv.Stats().Net.Connections <= n-n/4 })
			b.fail(outcome)
			b.await(t, n)
			for i, p := range waiting {
				if i%4 != 1 && i%4 != 2 {
					continue
				}
				if outcome == nil {
					p.expectText(`{"id":1,"ok":true}`)
				} else {
					p.expectText(`{"id":1,"ok":false,"error":{"code":"broker_down","message":"joined, but the broker does not confirm the subscription: messages may be missed"}}`)
				}
				if i%4 == 1 {
					p.expectClose(1000)
				} else {
					p.expectEnd()
				}
			}
			idle(t, srv, 0, 0, 0)
		})
	}
}

// A shutdown does not wait for an engine. Sessions that wait for a subscription are told to
// reconnect like all others, and a later answer has no effect.
func TestShutdownWhileSessionsWaitForASubscription(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	srv.drain = patience
	waiting := waitForSubscription(t, srv, 8)
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown() }()
	for _, p := range waiting {
		p.expectClose(1012)
		_ = p.Close()
	}
	b.answer()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// A connection is pinged while its join waits. It stays open as long as it answers the
// pings, however long the engine takes. Afterwards, keepalive continues as before.
func TestKeepaliveWhileAJoinWaits(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour}, b)
	waiting := waitForSubscription(t, srv, 1)[0]
	for range 3 {
		silence(t, srv, time.Hour)
		waiting.expect(opPing, "")
		waiting.write(masked(0x80|opPong, ""))
		waiting.write(masked(0x80|opPing, "and you?"))
		waiting.expect(opPong, "and you?")
	}
	b.answer()
	waiting.expectText(`{"id":1,"ok":true}`)
	silence(t, srv, time.Hour)
	waiting.expect(opPing, "")
}

// The server detects an unreachable peer while its join waits.
func TestDeadPeerIsNoticedWhileAJoinWaits(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour}, b)
	waiting := waitForSubscription(t, srv, 1)[0]
	silence(t, srv, time.Hour)
	waiting.expect(opPing, "")
	silence(t, srv, time.Hour)
	waiting.expectClose(4002)
	b.answer()
}

// When the broker has room again, it gets only as many publications as it has room for,
// first come, first served over all loops. The other sessions do not try.
func TestRoomInTheBrokerIsOfferedInOrder(t *testing.T) {
	const n = 50
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{Loops: 3}, b)
	witness := connect(t, srv, "/ws")
	witness.send(`{"command":"join","args":{"channel":"c"}}`)
	b.await(t, 1)
	b.fill(0)
	for i := range n {
		connect(t, srv, "/ws").broadcast("c", fmt.Sprint(i))
		awaitParked(t, srv, i+1)
	}
	b.mu.Lock()
	b.tried = 0
	b.mu.Unlock()
	for i := range n {
		b.tell(srv, 1)
		awaitParked(t, srv, n-1-i)
		b.await(t, 1)
		witness.expectText(fmt.Sprint(i))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tried != n {
		t.Errorf("%d calls of Publish for %d publications through a broker with one place at a time", b.tried, n)
	}
}

// A session that ends while it waits for the broker gives up its place, told or not.
func TestSessionsThatEndWhileTheyWaitForTheBroker(t *testing.T) {
	const n = 12
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{Loops: 2}, b)
	b.fill(0)
	var waiting []*peer
	for range n {
		p := connect(t, srv, "/ws")
		p.broadcast("c", "1")
		waiting = append(waiting, p)
	}
	awaitParked(t, srv, n)
	for _, p := range waiting[n/2:] {
		p.reset()
	}
	awaitParked(t, srv, n/2)
	var held []func()
	for _, l := range srv.loops {
		held = append(held, holdLoop(t, l))
	}
	for _, p := range waiting[:n/2] {
		p.reset()
	}
	b.tell(srv, n/2)
	for _, release := range held {
		release()
	}
	idle(t, srv, 0, 0, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue)+len(b.told) > 0 {
		t.Errorf("%d wait and %d were told, but all sessions have ended", len(b.queue), len(b.told))
	}
}
