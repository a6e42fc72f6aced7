package session

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// TestStreamsHaveHeartbeats each -ping-interval, also those that hear much.
func TestStreamsHaveHeartbeats(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{PingInterval: 100 * time.Millisecond, PongTimeout: 10 * time.Millisecond})
	s := openStream(t, srv, "/sse?channel=a")
	for range 5 {
		if got := s.next(); got != (sent{comment: "comment"}) {
			t.Fatalf("got %+v, want a heartbeat", got)
		}
	}
	openStream(t, start(t, Config{PingInterval: -1}), "/sse?channel=a").expectNothing()
}

// TestHeartbeatsAreSpread: streams that begin together do not have them together.
func TestHeartbeatsAreSpread(t *testing.T) {
	const streams, interval = 200, time.Hour
	srv := start(t, Config{PingInterval: interval})
	for range streams {
		openStream(t, srv, "/sse?channel=a")
	}
	parts := map[uint32]int{}
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			for _, id := range l.clients() {
				waited := l.net.Tick() - l.session(l.net.Conn(id)).seen // of the interval
				parts[waited/uint32(interval/l.node.tick/4)]++
			}
		})
	}
	for part := range uint32(4) {
		if n := parts[part]; n < streams/16 || n > streams/2 {
			t.Errorf("the heartbeats of quarter %d are those of %d streams of %d", part, n, streams)
		}
	}
}

// TestAStreamWhosePeerIsGoneEnds: nobody acknowledges the heartbeat.
func TestAStreamWhosePeerIsGoneEnds(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{PingInterval: 100 * time.Millisecond, PongTimeout: 300 * time.Millisecond})
	s, other := openStream(t, srv, "/sse?channel=a"), openStream(t, srv, "/sse?channel=a")
	testtool.GoSilent(t, s.Conn)
	testtool.Until(t, "it has ended", func() bool { return srv.Stats().Closed["no_pong"] == 1 })
	post201(t, srv, "a", "1")
	for got := other.next(); got.comment == ""; got = other.next() {
		if got.data != `{"channel":"a","content":1}` {
			t.Fatalf("the other one got %+v", got)
		}
	}
}

// TestAStreamThatIsNotReadWhileItRecoversEnds, though its queue is never full.
func TestAStreamThatIsNotReadWhileItRecoversEnds(t *testing.T) {
	t.Parallel()
	cfg := keepHistory(Config{WriteQueueSize: 64 << 10, PingInterval: 200 * time.Millisecond, PongTimeout: 100 * time.Millisecond}, 200, 64<<20)
	srv := start(t, cfg)
	first, _ := positions(t, srv)
	for range 200 {
		post201(t, srv, "h", `"`+strings.Repeat("x", 40_000)+`"`)
	}
	p := dial(t, srv)
	_ = p.Conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 10)
	p.write(streamHead("/sse?channel=h", "Last-Event-ID: "+first))
	testtool.Until(t, "it is told that it is too slow", func() bool { return sessionsIn(t, srv, streaming) == 0 && sessionsIn(t, srv, ending) == 1 })
	testtool.Until(t, "it has ended", func() bool { return srv.Stats().Closed["slow_consumer"] == 1 })
}

// TestADrainTellsStreamsToReconnect, after all that they are owed, each at another moment.
func TestADrainTellsStreamsToReconnect(t *testing.T) {
	srv := start(t, Config{})
	var streams []*stream
	for range 10 {
		streams = append(streams, openStream(t, srv, "/sse?channel=a&channel=b"))
	}
	for i := range 100 {
		post201(t, srv, "a", strconv.Itoa(i))
	}
	stopped := make(chan error)
	go func() { stopped <- srv.Shutdown() }()
	var retries []int
	for _, s := range streams {
		for i := range 100 {
			s.expectEvents(`{"channel":"a","content":` + strconv.Itoa(i) + `}`)
		}
		ms, err := strconv.Atoi(s.expectClose(`{"code":1012,"reason":"this node restarts, reconnect"}`))
		if err != nil || ms < 1 || ms > 1000 {
			t.Errorf("retry: %d, want a part of a second", ms)
		}
		retries = append(retries, ms)
	}
	if slices.Sort(retries); retries[0] == retries[len(retries)-1] {
		t.Errorf("all reconnect after %d ms", retries[0])
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if st := srv.Stats(); st.Closed["shutdown"] != 10 {
		t.Errorf("closed %v", notZero(st.Closed))
	}
}

// TestAStreamThatIsNotReadEnds as a slow consumer, or loses the newest events, as
// -slow-policy says. Others hear everything.
func TestAStreamThatIsNotReadEnds(t *testing.T) {
	for _, drop := range []bool{false, true} {
		srv := start(t, Config{WriteQueueSize: 64 << 10, DropSlow: drop})
		slow, quick, publisher := dial(t, srv), openStream(t, srv, "/sse?channel=a"), connect(t, srv, "/ws")
		_ = slow.Conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 10)
		slow.write(streamHead("/sse?channel=a"))
		testtool.Until(t, "it is a member", func() bool { return srv.members(t, "a") == 2 })
		content := `"` + strings.Repeat("x", 10_000) + `"`
		event := `{"channel":"a","content":` + content + `}`
		over := func() bool {
			st := srv.Stats()
			return st.Dropped["slow_consumer"] > 0 && (drop || st.Closed["slow_consumer"] > 0 || srv.members(t, "a") == 1)
		}
		for n := 0; !over(); n++ {
			if n > 10_000 {
				t.Fatal("nothing happens to a stream that is not read")
			}
			publisher.broadcast("a", content)
			quick.expectEvents(event)
		}
		s := slow.followed(srv)
		if drop {
			s.expectEvents(event)
			continue
		}
		got := s.next()
		for ; got == (sent{data: event}); got = s.next() {
		}
		if got != (sent{event: "close", data: `{"code":4001,"reason":"too slow: outbound queue is full"}`}) {
			t.Errorf("got %.200v, want close 4001 behind whole events", got)
		}
		s.expectEnd()
	}
}

// TestOperatorsSeeAndEndStreams like other clients.
func TestOperatorsSeeAndEndStreams(t *testing.T) {
	srv := start(t, Config{})
	s, other := openStream(t, srv, "/sse?channel=a&channel=b"), openStream(t, srv, "/sse?channel=b")
	page := listed(t, srv, ConnFilter{Channel: "a"}, 10)
	if len(page) != 1 || page[0].State != "open" || page[0].Channels != 2 || page[0].Address != s.LocalAddr().String() {
		t.Fatalf("listed %+v", page)
	}
	if info, err := srv.Connection(context.Background(), page[0].ID); err != nil || !slices.Equal(info.Names, []string{"a", "b"}) {
		t.Errorf("%+v, %v", info, err)
	}
	order := func(o Order, want int) {
		t.Helper()
		if done, err := srv.Order(t.Context(), o); err != nil || done.Here != want {
			t.Fatalf("%+v: %+v, %v; want %d", o, done, err, want)
		}
	}
	order(Order{Unsubscribe: true, Channel: "a"}, 1)
	post201(t, srv, "a", "1")
	post201(t, srv, "b", "2")
	s.expectEvents(`{"channel":"b","content":2}`)
	order(Order{ID: page[0].ID, Code: 4003, Reason: "go"}, 1)
	if retry := s.expectClose(`{"code":4003,"reason":"go"}`); retry != "86400000" {
		t.Errorf("retry: %s, want a day", retry)
	}
	order(Order{Channel: "b", Code: 4999}, 1)
	other.expectEvents(`{"channel":"b","content":2}`)
	if retry := other.expectClose(`{"code":4999,"reason":""}`); retry != "" {
		t.Errorf("retry: %s, want none", retry)
	}
}

// TestAnOperatorTakesChannelsThatAStreamHasNotJoined, as it waits for the history of another one.
func TestAnOperatorTakesChannelsThatAStreamHasNotJoined(t *testing.T) {
	b, gate := newScripted(), make(chan struct{})
	cfg := keepHistory(Config{}, 10, 1<<20)
	cfg.Broker, b.gate = b, gate
	srv := start(t, cfg)
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=h&channel=h2&channel=a&channel=b"))
	testtool.Until(t, "the engine is asked", func() bool { return b.reads() != "" })
	for _, channel := range []string{"a", "h2"} {
		carried(t, srv, Order{Unsubscribe: true, Channel: channel}, 0)
	}
	close(gate)
	s := p.followed(srv)
	s.joined(`{}`)
	for channel, want := range map[string]int{"h": 1, "h2": 0, "a": 0, "b": 1} {
		if n := srv.Members(channel); n != want {
			t.Errorf("%d members of %s, want %d", n, channel, want)
		}
	}
}

// TestAStreamWaitsForAnEngine that keeps history, and is told when the history cannot be read.
func TestOperatorsEndAStreamThatRecovers(t *testing.T) {
	srv := start(t, keepHistory(Config{WriteQueueSize: 64 << 10}, 200, 64<<20))
	s := openStream(t, srv, "/sse?channel=h")
	id := s.joined(`{}`)
	_ = s.Close()
	for range 200 {
		post201(t, srv, "h", `"`+strings.Repeat("x", 40_000)+`"`)
	}
	p := dial(t, srv)
	_ = p.Conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 10)
	p.write(streamHead("/sse?channel=h&channel=h2", "Last-Event-ID: "+id))
	testtool.Until(t, "it recovers", func() bool { return sessionsIn(t, srv, streaming) == 1 })
	if done, err := srv.Order(t.Context(), Order{Code: 4003}); err != nil || done.Here != 1 {
		t.Fatal(done, err)
	}
	s = p.followed(srv)
	got := s.next()
	for ; got.event == ""; got = s.next() {
	}
	if got.event != "gap" && got.event != "close" {
		t.Errorf("got %+v, want close", got)
	}
}
