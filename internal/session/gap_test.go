package session

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/internal/testtool"
)

func startScripted(t *testing.T) (*Server, *scripted) {
	b := newScripted()
	cfg := keepHistory(Config{}, 100, 1<<20)
	cfg.Broker = b
	return start(t, cfg), b
}

// gap is a gap as a client with an envelope is told.
func gap(position string) string {
	return fmt.Sprintf(`{"type":"gap","channel":"h","position":%q}`, position)
}

func enveloped(content, position string) string {
	return fmt.Sprintf(`{"type":"message","position":%q,"channel":"h","content":%s}`, position, content)
}

// members returns a raw member and one with an envelope.
func (b *scripted) members(t *testing.T, srv *Server) (raw, typed *peer) {
	raw, typed = connect(t, srv, "/ws"), connect(t, srv, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
	raw.expectJoin("h", "", "", "joined")
	typed.expectJoin("h", "", "", "joined")
	return raw, typed
}

func TestAGapIsReadFromTheEngine(t *testing.T) {
	srv, b := startScripted(t)
	raw, typed := b.members(t, srv)
	b.publish("1") // is lost on its way
	b.receive(b.publish("2"), b.publish("3"))
	raw.expectText("1", "2", "3")
	typed.expectText(enveloped("1", "e-1"), enveloped("2", "e-2"), enveloped("3", "e-3"))
	if st := srv.Stats(); st.HistoryGaps != 0 {
		t.Errorf("%d gaps", st.HistoryGaps)
	}
}

// While the engine is asked, what arrives is held back; what it answers comes first.
func TestWhatArrivesBehindAGapWaitsForIt(t *testing.T) {
	srv, b := startScripted(t)
	raw, _ := b.members(t, srv)
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	b.publish("1")
	b.receive(b.publish("2"), b.publish("3"))
	raw.expectNothing()
	b.receive(b.publish("4"))
	close(gate)
	raw.expectText("1", "2", "3", "4")
}

func TestAGapThatCannotBeReadIsTold(t *testing.T) {
	srv, b := startScripted(t)
	raw, typed := b.members(t, srv)
	b.set(func() { b.kept = 2 })
	for n := range 4 {
		b.publish(fmt.Sprint(n + 1))
	}
	b.receive(b.publish("5"))
	raw.expectText("4", "5")
	typed.expectText(gap("e-3"), enveloped("4", "e-4"), enveloped("5", "e-5"))
	if st := srv.Stats(); st.HistoryGaps != 1 {
		t.Errorf("%d gaps, want 1", st.HistoryGaps)
	}
	q := connect(t, srv, "/ws")
	q.expectJoin("h", sincePosition("e-3"), "4 5", "recovered true") // where the gap said to go on
}

// An engine that answers with errors does not keep members waiting for ever.
func TestAGapIsGivenUpWhenTheEngineAnswersWithErrors(t *testing.T) {
	srv, b := startScripted(t)
	raw, typed := b.members(t, srv)
	b.set(func() { b.err = fmt.Errorf("refused") })
	b.publish("1")
	b.receive(b.publish("2"))
	raw.expectText("2")
	typed.expectText(gap("e-1"), enveloped("2", "e-2"))
	q := connect(t, srv, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
	q.send(`{"command":"join","args":{"channel":"h","since":"e-0"},"id":1}`)
	q.expectText(`{"type":"reply","id":1,"ok":false,"error":{"code":"broker_down","message":"joined, but the history cannot be read: messages may have been missed"}}`)
	b.receive(b.publish("3"))
	q.expectText(enveloped("3", "e-3"))
}

// The engine was restarted empty: members are told, and get all of the new epoch.
func TestANewEpochOfALiveChannelIsAGap(t *testing.T) {
	srv, b := startScripted(t)
	raw, typed := b.members(t, srv)
	b.receive(b.publish("1"))
	raw.expectText("1")
	typed.expectText(enveloped("1", "e-1"))
	b.restart("f")
	b.publish("2") // is lost on its way
	b.receive(b.publish("3"))
	raw.expectText("2", "3")
	typed.expectText(gap("f-0"), enveloped("2", "f-1"), enveloped("3", "f-2"))
	q := connect(t, srv, "/ws")
	q.expectJoin("h", sincePosition("e-1"), "", "recovered false")
	q.expectJoin("h", sincePosition("f-1"), "3", "recovered true")
}

// The link was lost: what was published meanwhile is read, also if nothing follows.
func TestAfterALostLinkTheTailIsChecked(t *testing.T) {
	srv, b := startScripted(t)
	raw, _ := b.members(t, srv)
	b.publish("1")
	b.publish("2")
	b.resumed("h")
	raw.expectText("1", "2")
	b.resumed("h")
	b.receive(b.publish("3"))
	raw.expectText("3")
	b.restart("f")
	b.publish("4")
	b.resumed("h")
	raw.expectText("4")
	b.resumed("nobody")
}

// A client may come from a node that is ahead of this one.
func TestAPositionThatThisNodeHasNotReachedIsAskedAbout(t *testing.T) {
	srv, b := startScripted(t)
	raw, _ := b.members(t, srv)
	late := []broker.Entry{b.publish("1"), b.publish("2")}
	q := connect(t, srv, "/ws")
	if r := q.expectJoin("h", sincePosition("e-2"), "", "recovered true"); r.Position != "e-2" {
		t.Errorf("the position is %s", r.Position)
	}
	raw.expectText("1", "2")
	b.receive(late...) // they arrive at last
	b.receive(b.publish("3"))
	q.expectText("3")
	raw.expectText("3")
	if st := srv.Stats(); st.HistoryDoubles != 2 {
		t.Errorf("%d doubles, want 2", st.HistoryDoubles)
	}
	b.restart("f")
	b.publish("4")
	p := connect(t, srv, "/ws")
	p.expectJoin("h", sincePosition("f-1"), "", "recovered true")
	raw.expectText("4")
}

// Many ask for the same at once: the engine is asked once.
func TestAStormOfReconnectsAsksOnce(t *testing.T) {
	srv, b := startScripted(t)
	for n := range 50 {
		b.publish(fmt.Sprint(n + 1))
	}
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	var peers []*peer
	for range 100 {
		p := connect(t, srv, "/ws")
		p.send(`{"command":"join","args":{"channel":"h","since":"e-40"},"id":1}`)
		peers = append(peers, p)
	}
	testtool.Until(t, "all joins wait", func() bool { return sessionsIn(t, srv, parked) == len(peers) })
	close(gate)
	for _, p := range peers {
		p.expectText("41", "42", "43", "44", "45", "46", "47", "48", "49", "50", `{"id":1,"ok":true,"recovered":true,"position":"e-50"}`)
	}
	late := connect(t, srv, "/ws")
	late.expectJoin("h", sincePosition("e-45"), "46 47 48 49 50", "recovered true")
	if reads := b.reads(); reads != "e-40/0" {
		t.Errorf("the engine was asked %q", reads)
	}
}

// What is known to be lost is not asked for again.
func TestALostPositionIsAskedForOnce(t *testing.T) {
	srv, b := startScripted(t)
	b.set(func() { b.kept = 1 })
	b.publish("1")
	b.publish("2")
	b.publish("3")
	for range 3 {
		p := connect(t, srv, "/ws")
		p.expectJoin("h", sincePosition("e-1"), "", "recovered false")
	}
	if reads := b.reads(); reads != "e-1/0" {
		t.Errorf("the engine was asked %q", reads)
	}
}

// While a client does not read, nothing is kept for it but its queue: the rest is read again.
func TestWhatAClientHasNoRoomForIsReadAgain(t *testing.T) {
	const count = 400
	b := newScripted()
	cfg := keepHistory(Config{WriteQueueSize: 64 << 10}, count, 1) // the node itself keeps nothing
	cfg.Broker = b
	srv := start(t, cfg)
	content := strconv.Quote(strings.Repeat("x", 32<<10))
	for range count {
		b.publish(content)
	}
	p := connect(t, srv, "/ws")
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	p.send(`{"command":"join","args":{"channel":"h","since":"e-0"},"id":1}`)
	testtool.Until(t, "the client has no room", func() bool { return srv.Stats().Net.QueuedBytes > 0 })
	for range count {
		p.expectText(content)
	}
	p.expectText(fmt.Sprintf(`{"id":1,"ok":true,"recovered":true,"position":"e-%d"}`, count))
	if reads := strings.Count(b.reads(), "/"); reads < 2 {
		t.Errorf("the engine was asked %d times", reads)
	}
}

// A position of the future says nothing of what is kept.
func TestAPositionOfTheFutureSpoilsNoOther(t *testing.T) {
	srv, b := startScripted(t)
	b.publish("1")
	b.publish("2")
	connect(t, srv, "/ws").expectJoin("h", sincePosition("e-999"), "", "recovered false")
	connect(t, srv, "/ws").expectJoin("h", sincePosition("e-1"), "2", "recovered true")
}

// A join without an id has no answer, so an envelope has a gap where something is lost.
func TestAJoinWithoutAnIDIsToldOfAGap(t *testing.T) {
	srv, b := startScripted(t)
	b.publish("1")
	p := connect(t, srv, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
	p.send(`{"command":"join","args":{"channel":"h","since":"x-1"}}`)
	p.expectText(gap("e-1"))
	p.send(`{"command":"join","args":{"channel":"h","since":"e-0"}}`)
	p.expectText(enveloped("1", "e-1"))
	p.expectNothing()
}

// An operator's order and the end of a client find a join that waits for the engine.
func TestAJoinThatWaitsForTheEngineEndsWithItsSession(t *testing.T) {
	srv, b := startScripted(t)
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	for _, peer := range []*peer{p, q} {
		peer.send(`{"command":"join","args":{"channel":"h","since":"e-0"},"id":1}`)
	}
	testtool.Until(t, "both wait", func() bool { return sessionsIn(t, srv, parked) == 2 })
	p.reset()
	if _, err := srv.Order(t.Context(), Order{Unsubscribe: true, Channel: "h"}); err != nil {
		t.Fatal(err)
	}
	testtool.Until(t, "one is closed", func() bool { return srv.Connections() == 1 })
	close(gate)
	q.expectText(`{"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`)
	testtool.Until(t, "the channel is not followed any more", func() bool { return srv.Stats().Followed == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wants["h"] {
		t.Error("the node is still subscribed")
	}
}

// The link is lost and back while the engine is asked: what it answers may be from before.
func TestALinkThatIsLostDuringAQuestionIsCheckedAgain(t *testing.T) {
	srv, b := startScripted(t)
	raw, _ := b.members(t, srv)
	b.reads()
	gate := make(chan struct{})
	b.set(func() { b.gate, b.late = gate, true })
	b.resumed("h")
	testtool.Until(t, "the engine is asked", func() bool { return b.reads() != "" })
	b.publish("1") // the answer does not have it
	b.resumed("h")
	b.set(func() { b.gate = nil })
	close(gate)
	raw.expectText("1")
}
