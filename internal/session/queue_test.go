package session

import (
	"fmt"
	"testing"
	"wsify/internal/testtool"
)

// Serving the first of many does not move the others. waits is true while any connection
// waits.
func TestAQueueIsServedInTurn(t *testing.T) {
	const n = 10_000
	var q queue
	for i := range n {
		q.Push(uint64(i))
	}
	next := uint64(0)
	places := 0
	serve := func(id uint64) bool {
		if places == 0 {
			return false
		}
		if id != next {
			t.Fatalf("%d is served, want %d", id, next)
		}
		places--
		next++
		return true
	}
	if allocs := testing.AllocsPerRun(n/2, func() {
		places = 1
		q.serve(serve)
	}); allocs != 0 {
		t.Errorf("%v allocations for each connection served", allocs)
	}
	if !q.waits.Load() || q.Len() == 0 {
		t.Fatal("waits is false though connections wait")
	}
	places = n
	q.serve(serve)
	if q.waits.Load() || next != n {
		t.Errorf("%d were served, want %d; waits is %t, want false", next, n, q.waits.Load())
	}
}

// A free place in the pool wakes only loops with a waiting session.
func TestRoomInThePoolWakesOnlyWaitingLoops(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: patience, Workers: 1, Queue: 1})
	release := hook.hold(nil)
	here := srv.loops[0]
	var peers []*peer
	for range 4 {
		p := connectTo(t, srv, here)
		p.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
		peers = append(peers, p)
	}
	testtool.Until(t, "two wait for a place", func() bool {
		n := 0
		onLoop(t, here, func() { n = here.blocked.Len() })
		return n == 2
	})
	if !here.blocked.waits.Load() || srv.loops[1].blocked.waits.Load() {
		t.Error("a place in the pool wakes the wrong loop")
	}
	release()
	for _, p := range peers {
		p.expectText(`{"id":1,"ok":true}`)
	}
	testtool.Until(t, "nobody waits", func() bool { return !here.blocked.waits.Load() })
}

// A free place in the broker goes to a session that waits, not to one that publishes
// just then.
func TestSessionsGetRoomInTheBrokerInOrder(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{Loops: 3}, b)
	witness := connect(t, srv, "/ws")
	witness.send(`{"command":"join","args":{"channel":"c"}}`)
	b.await(t, 1)
	b.fill(0)
	for i := range 3 {
		connect(t, srv, "/ws").broadcast("c", fmt.Sprint(i))
		awaitParked(t, srv, i+1)
		settle(t, srv)
	}
	b.fill(4)
	connect(t, srv, "/ws").broadcast("c", "3")
	awaitParked(t, srv, 4)
	for i := range 4 {
		b.tell(srv, 1)
		b.await(t, 1)
		witness.expectText(fmt.Sprint(i))
	}
}
