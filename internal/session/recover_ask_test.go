package session

import (
	"fmt"
	"sync/atomic"
	"testing"

	"wsify/broker"
	"wsify/internal/testtool"
)

// startForgetful starts a node that keeps no publication itself, so each join needs the engine.
func startForgetful(t *testing.T) (*Server, *scripted) {
	b := newScripted()
	cfg := keepHistory(Config{}, 100, 1)
	cfg.Broker = b
	return start(t, cfg), b
}

func TestANodeWithoutMemoryForHistoryAsksTheEngineForEachJoin(t *testing.T) {
	srv, b := startForgetful(t)
	for n := range 5 {
		b.publish(fmt.Sprint(n + 1))
	}
	for range 2 {
		p := connect(t, srv, "/ws")
		p.expectJoin("h", sincePosition("e-2"), "3 4 5", "recovered true")
		p.expectJoin("h", `,"last":2`, "4 5", "joined")
		b.receive(b.publish("6"))
		p.expectText("6")
		p.expectJoin("h", sincePosition("e-6"), "", "recovered true") // it has missed nothing: no question
		b.restart("e")
		for n := range 5 {
			b.publish(fmt.Sprint(n + 1))
		}
		p.Close()
		testtool.Until(t, "the channel is not followed any more", func() bool { return srv.Stats().Followed == 0 })
	}
	if st := srv.Stats(); st.HistoryBytes != 0 {
		t.Errorf("%d bytes are kept", st.HistoryBytes)
	}
}

// The members are given more while the engine answers: the answer alone is not enough then, so it
// is asked again.
func TestWhatIsPublishedWhileTheEngineAnswersIsNotMissed(t *testing.T) {
	srv, b := startForgetful(t)
	member := connect(t, srv, "/ws")
	member.expectJoin("h", "", "", "joined")
	b.receive(b.publish("1"), b.publish("2"))
	member.expectText("1", "2")
	b.reads()
	gate := make(chan struct{})
	b.set(func() { b.gate, b.late = gate, true })
	p := connect(t, srv, "/ws")
	p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":1}`, sincePosition("e-0")))
	testtool.Until(t, "the engine is asked", func() bool { return b.reads() != "" })
	b.receive(b.publish("3"))
	member.expectText("3")
	b.set(func() { b.gate = nil })
	close(gate) // this answer ends with the second
	p.expectText("1", "2", "3", `{"id":1,"ok":true,"recovered":true,"position":"e-3"}`)
	b.receive(b.publish("4"))
	p.expectText("4")
}

// History that passes faster than it is read: after some answers that come too late, the join
// stands, and says so.
func TestHistoryThatPassesFasterThanItIsReadIsLost(t *testing.T) {
	srv, b := startForgetful(t)
	member := connect(t, srv, "/ws")
	member.expectJoin("h", "", "", "joined")
	var next atomic.Int64
	more := func() { b.receive(b.publish(fmt.Sprint(next.Add(1)))) }
	more()
	b.set(func() { b.after = more })
	p := connect(t, srv, "/ws")
	_, r := p.joinFrom("h", sincePosition("e-0"))
	if r.String() != "recovered false" || r.Position != fmt.Sprint("e-", next.Load()) {
		t.Errorf("the join is answered by %+v, at %d", r, next.Load())
	}
	b.set(func() { b.after = nil })
	more()
	p.expectText(fmt.Sprint(next.Load()))
}

// A connection that has joined keeps nothing besides its membership.
func TestAJoinWithHistoryLeavesTheSessionSmall(t *testing.T) {
	srv, b := startScripted(t)
	p := connect(t, srv, "/ws")
	b.publish("1")
	p.expectJoin("h", sincePosition("e-0"), "1", "recovered true")
	p.expectJoin("h2", "", "", "joined")
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			if n := l.extras.Len(); n > 0 {
				t.Errorf("%d extras are in use", n)
			}
		})
	}
}

// The engine was unreachable when they joined: the join stood, without a position. They get one as
// soon as it is known, as a gap, because what came before was not given to them.
func TestMembersWithoutAPositionAreToldOneWhenTheEngineIsBack(t *testing.T) {
	srv, b := startScripted(t)
	b.set(func() { b.err = broker.ErrDown })
	p, q := connect(t, srv, "/ws", "Sec-WebSocket-Protocol: wsify.v1"), connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"h"},"id":1}`)
	p.expectText(`{"type":"reply","id":1,"ok":false,"error":{"code":"broker_down","message":"joined, but the broker is unreachable: nothing is received until it is back"}}`)
	if _, r := q.joinFrom("h", `,"last":1`); r.Error.Code != "broker_down" {
		t.Errorf("the join is answered by %+v", r)
	}
	b.publish("1")
	b.set(func() { b.err = nil })
	p.expectText(gap("e-1"))
	b.receive(b.publish("2"))
	p.expectText(enveloped("2", "e-2"))
	q.expectText("2")
	q.expectJoin("h", sincePosition("e-0"), "1 2", "recovered true")
}

// Joins from many positions wait while the engine answers another: each gets its own part.
func TestJoinsFromManyPositionsThatWaitTogetherGetTheirPart(t *testing.T) {
	srv, b := startForgetful(t)
	member := connect(t, srv, "/ws")
	member.expectJoin("h", "", "", "joined")
	for n := range 10 {
		b.receive(b.publish(fmt.Sprint(n + 1)))
	}
	b.reads()
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	first := connect(t, srv, "/ws")
	first.send(`{"command":"join","args":{"channel":"h","since":"e-9"},"id":1}`)
	testtool.Until(t, "the engine is asked", func() bool { return b.reads() != "" })
	var others []*peer
	for n := range 8 {
		p := connect(t, srv, "/ws")
		p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h","since":"e-%d"},"id":1}`, 8-n))
		others = append(others, p)
	}
	testtool.Until(t, "all wait", func() bool { return sessionsIn(t, srv, parked) == 9 })
	close(gate)
	first.expectText("10", `{"id":1,"ok":true,"recovered":true,"position":"e-10"}`)
	for n, p := range others {
		for i := 8 - n + 1; i <= 10; i++ {
			p.expectText(fmt.Sprint(i))
		}
		p.expectText(`{"id":1,"ok":true,"recovered":true,"position":"e-10"}`)
	}
}
