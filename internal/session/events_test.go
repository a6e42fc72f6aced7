package session

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"wsify/hub"
	"wsify/internal/events"
	"wsify/internal/testtool"
)

// startTold is start with these events, told to the webhook that it returns.
func startTold(t *testing.T, cfg Config, kinds ...string) (*Server, *webhook) {
	t.Helper()
	h := newWebhook(t, nil)
	cfg.Events, cfg.EventsURL = kinds, h.URL+"/events"
	return start(t, cfg), h
}

// told returns the events that a webhook was told, in order.
func (h *webhook) told() (all []map[string]any) {
	for _, q := range h.questions("") {
		var batch struct{ Events []map[string]any }
		if err := json.Unmarshal([]byte(q.body), &batch); err != nil || len(batch.Events) == 0 || len(batch.Events) > 100 {
			h.t.Errorf("%q: %v", q.body, err)
		}
		all = append(all, batch.Events...)
	}
	return all
}

// awaitTold waits for n events, and returns them.
func (h *webhook) awaitTold(n int) []map[string]any {
	h.t.Helper()
	testtool.Until(h.t, "the events are told", func() bool { return len(h.told()) >= n })
	all := h.told()
	if len(all) != n {
		h.t.Fatalf("%d events, want %d: %v", len(all), n, all)
	}
	return all
}

func TestTheEndOfASessionIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	srv, h := startTold(t, Config{AllowedOrigins: []string{"https://a.com"}}, "disconnect")
	refused := dial(t, srv)
	refused.write(upgradeHead("/ws", "Origin: https://b.com"))
	refused.expectStatus(403)
	post201(t, srv, "c", "1")
	_ = dial(t, srv).Close()
	n := 0
	for _, tc := range []struct {
		end  func(p *peer)
		want map[string]any
	}{
		{func(p *peer) { p.write(closing(4321, "bye")); p.expectClose(4321) }, map[string]any{"code": 4321.0, "reason": "client_close"}},
		{func(p *peer) { p.write(masked(0x80|opClose, "")); p.expectClose(0) }, map[string]any{"code": 1005.0, "reason": "client_close"}},
		{func(p *peer) { p.reset() }, map[string]any{"code": 1006.0, "reason": "reset", "user": nil}},
		{func(p *peer) { p.closeWrite(); p.expectEnd() }, map[string]any{"code": 1006.0, "reason": "peer_closed"}},
		{func(p *peer) { p.write("\xff\xff"); p.expectClose(1002) }, map[string]any{"code": 1002.0, "reason": "protocol_error"}},
	} {
		began := time.Now()
		p := connect(t, srv, "/ws")
		p.join("c")
		want := maps.Clone(tc.want)
		maps.Copy(want, map[string]any{
			"event": "disconnect", "connection": idOf(t, srv, p), "address": p.LocalAddr().String(), "node": strings.TrimSuffix(srv.name, "-"),
		})
		tc.end(p)
		n++
		e := h.awaitTold(n)[n-1]
		expectRecord(t, e, want)
		seconds, _ := e["seconds"].(float64)
		at, err := time.Parse(time.RFC3339, e["time"].(string))
		if seconds < 0 || seconds > time.Since(began).Seconds() || err != nil || at.Before(began.Add(-time.Second)) || at.After(time.Now()) {
			t.Errorf("seconds %v, time %v, %v", e["seconds"], e["time"], err)
		}
	}
	if q := h.questions("")[0]; q.method != "POST" || q.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s with %v", q.method, q.header)
	}
	testtool.Until(t, "they are counted", func() bool { return srv.Stats().Events["disconnect"] == uint64(n) })
}

// The user that the authorizer has named is in each event of the session.
func TestAKickIsToldWithTheUser(t *testing.T) {
	t.Parallel()
	auth := newWebhook(t, nil)
	auth.answerWith(func(w http.ResponseWriter, _ question) { w.Header().Set("X-Wsify-User", "ann%20b") })
	srv, h := startTold(t, Config{AuthorizerURL: auth.URL}, "disconnect", "kicked")
	p := connect(t, srv, "/ws")
	id := idOf(t, srv, p)
	carried(t, srv, Order{ID: id, Code: 4003, Reason: "spam"}, 1)
	p.expectClose(4003)
	_ = p.Close()
	all := h.awaitTold(2)
	expectRecord(t, all[0], map[string]any{"event": "kicked", "connection": id, "user": "ann b", "address": p.LocalAddr().String(), "code": 4003.0, "reason": "spam"})
	expectRecord(t, all[1], map[string]any{"event": "disconnect", "connection": id, "user": "ann b", "code": 4003.0, "reason": "kicked"})
}

func TestTheEndOfAStreamIsTold(t *testing.T) {
	t.Parallel()
	srv, h := startTold(t, Config{}, "disconnect", "kicked")
	s := openStream(t, srv, "/sse?channel=a")
	carried(t, srv, Order{Channel: "a", Code: 4003, Reason: "spam"}, 1)
	s.expectClose(`{"code":4003,"reason":"spam"}`)
	_ = s.Close()
	gone := openStream(t, srv, "/sse?channel=a")
	_ = gone.Close()
	all := h.awaitTold(3)
	for i, want := range []map[string]any{
		{"event": "kicked", "address": s.LocalAddr().String(), "code": 4003.0, "reason": "spam"},
		{"event": "disconnect", "address": s.LocalAddr().String(), "code": 4003.0, "reason": "kicked"},
		{"event": "disconnect", "address": gone.LocalAddr().String(), "code": 1006.0},
	} {
		expectRecord(t, all[i], want)
	}
}

func TestASlowConsumerIsToldBeforeItsEnd(t *testing.T) {
	t.Parallel()
	srv, h := startTold(t, Config{WriteQueueSize: 64 << 10}, "disconnect", "slow")
	deaf, p := deafPeer(t, srv), connect(t, srv, "/ws")
	p.join("loud")
	loudly(t, p, 0, func() bool { return srv.Stats().Dropped["slow_consumer"] > 0 })
	_ = deaf.Close()
	all := h.awaitTold(2)
	expectRecord(t, all[0], map[string]any{"event": "slow", "address": deaf.LocalAddr().String(), "code": 4001.0, "reason": "slow_consumer"})
	expectRecord(t, all[1], map[string]any{"event": "disconnect", "connection": all[0]["connection"], "code": 4001.0, "reason": "slow_consumer"})
}

// With -slow-policy drop a connection is told of once, until it has read all that waited for it and
// nothing was dropped for 3 s.
func TestASlowConsumerIsToldAgainAfterItCaughtUp(t *testing.T) {
	long(t)
	srv, h := startTold(t, Config{Loops: 1, WriteQueueSize: 64 << 10, DropSlow: true}, "slow")
	deaf, p := deafPeer(t, srv), connect(t, srv, "/ws")
	if err := deaf.Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // the kernel would take more and more
		t.Fatal(err)
	}
	p.join("loud")
	n, read := 0, 0
	for round := range 2 {
		before := srv.Stats().Dropped["slow_consumer"]
		n = loudly(t, p, n, func() bool { return srv.Stats().Dropped["slow_consumer"] >= before+20 })
		settle(t, srv)
		for kept := n - int(srv.Stats().Dropped["slow_consumer"]); read < kept; read++ {
			if _, err := deaf.next(); err != nil {
				t.Fatal(err)
			}
		}
		e := h.awaitTold(round + 1)[round]
		if expectRecord(t, e, map[string]any{"event": "slow", "reason": "slow_consumer"}); e["code"] != nil {
			t.Errorf("the code of a connection that goes on is %v", e["code"])
		}
		testtool.Until(t, "it has caught up", func() bool {
			p.broadcast("loud", "1")
			p.expectText("1")
			deaf.expectText("1")
			return srv.laggards(t) == 0
		})
	}
}

// laggards returns how many connections of the only loop are slow and have not caught up.
func (srv *Server) laggards(t *testing.T) (n int) {
	t.Helper()
	onLoop(t, srv.loops[0], func() { n = srv.loops[0].access.laggards })
	return n
}

// What is noted of a connection is bounded: there may be a million.
func TestWhatIsNotedOfAConnectionIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(visit{}); n > 112 {
		t.Errorf("a visit has %d bytes, want at most 112", n)
	}
}

func TestAnEndedSlowConsumerIsForgotten(t *testing.T) {
	t.Parallel()
	srv, h := startTold(t, Config{Loops: 1, WriteQueueSize: 64 << 10, DropSlow: true}, "slow")
	deaf, p := deafPeer(t, srv), connect(t, srv, "/ws")
	p.join("loud")
	loudly(t, p, 0, func() bool { return srv.Stats().Dropped["slow_consumer"] > 0 })
	h.awaitTold(1)
	_ = deaf.Close()
	testtool.Until(t, "it is gone", func() bool { return srv.Stats().Net.Connections == 1 })
	if n := srv.laggards(t); n != 0 {
		t.Errorf("%d laggards", n)
	}
}

// The channels of a node are told 3 s after the change. Those that changed back, and those of
// nodes among themselves, are not.
func TestChannelsAreTold(t *testing.T) {
	long(t)
	srv, h := startTold(t, Config{}, "occupied", "vacated")
	if srv.loops[0].access != nil {
		t.Error("connections are noted, although no event needs that")
	}
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("short", "a")
	q.join("a")
	p.leave("short", "a")
	expectRecord(t, h.awaitTold(1)[0], map[string]any{"event": "occupied", "channel": "a", "connection": nil, "seconds": nil, "node": strings.TrimSuffix(srv.name, "-")})
	q.leave("a")
	q.join("a")
	q.leave("a")
	p.join("b")
	h.awaitTold(3)
	got := []string{}
	for _, e := range h.told() {
		got = append(got, e["event"].(string)+" "+e["channel"].(string))
	}
	if want := []string{"occupied a", "vacated a", "occupied b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestImplicitChannelsAreNotTold(t *testing.T) {
	t.Parallel()
	var broker, told watcherCalls
	w := watchers{&broker, &told}
	for _, channel := range []string{"a", "\x00wsify/user/ann"} {
		w.Subscribe(channel)
		w.Unsubscribe(channel)
	}
	if len(broker) != 4 || !slices.Equal(told, watcherCalls{"+a", "-a"}) {
		t.Errorf("the broker was told %q, the events %q", broker, told)
	}
}

// watcherCalls is a hub.Watcher that notes the calls.
type watcherCalls []string

var _ hub.Watcher = (*watcherCalls)(nil)

func (w *watcherCalls) Subscribe(channel string)   { *w = append(*w, "+"+channel) }
func (w *watcherCalls) Unsubscribe(channel string) { *w = append(*w, "-"+channel) }

// A shutdown waits until its last ends are told, in batches, with all channels that became empty.
func TestAShutdownTellsItsLastEnds(t *testing.T) {
	t.Parallel()
	const clients = 250
	srv, h := startTold(t, Config{}, "disconnect", "vacated")
	for i, p := range connectMany(t, srv, clients) {
		if p.join("c"); i == 0 {
			srv.lifecycle.Channels().Subscribe("c") // as if told before: the change is undone
		}
		go func() { // it reads the Close frame, and closes
			for {
				if f, err := p.next(); err != nil || f.op == opClose {
					_ = p.Close()
					return
				}
			}
		}()
	}
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
	ends, vacated := 0, 0
	for _, e := range h.told() {
		if e["event"] == "disconnect" && e["code"] == 1012.0 && e["reason"] == "shutdown" {
			ends++
		} else if e["event"] == "vacated" && e["channel"] == "c" {
			vacated++
		}
	}
	if st := srv.Stats(); ends != clients || vacated != 1 || st.Events["disconnect"] != clients || st.EventsWaiting != 0 || len(notZero(st.EventsLost)) != 0 {
		t.Errorf("%d ends and %d channels are told: %v, lost %v", ends, vacated, st.Events, st.EventsLost)
	}
}

// While the webhook hangs, nobody waits for it: neither clients nor the shutdown, which counts what
// is left.
func TestAWebhookThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const clients = 150
	srv, h := startTold(t, Config{AuthorizerTimeout: time.Hour}, "disconnect")
	release := h.hold(nil)
	for range clients {
		_ = connect(t, srv, "/ws").Close()
	}
	testtool.Until(t, "the webhook hangs", func() bool { return len(h.questions("")) == 1 })
	p := connect(t, srv, "/ws")
	p.join("c")
	p.broadcast("c", "1")
	p.expectText("1")
	_ = p.Close()
	testtool.Until(t, "all have ended", func() bool { return srv.Stats().Net.Connections == 0 })
	began := time.Now()
	srv.drain = time.Second
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the shutdown took %v", took)
	}
	if st := srv.Stats(); st.EventsLost["shutdown"] != clients+1 || st.Events["disconnect"] != 0 {
		t.Errorf("%v are told, %v lost", st.Events, st.EventsLost)
	}
	release()
}

// A webhook that fails is asked twice, and then the events are lost and counted. Later ones are
// told.
func TestEventsOfAWebhookThatIsDownAreLost(t *testing.T) {
	t.Parallel()
	srv, h := startTold(t, Config{}, events.Disconnect.String())
	h.answerStatus(func(question) int { return http.StatusServiceUnavailable })
	_ = connect(t, srv, "/ws").Close()
	testtool.Until(t, "it is lost", func() bool { return srv.Stats().EventsLost["refused"] == 1 })
	h.answerStatus(nil)
	_ = connect(t, srv, "/ws").Close()
	testtool.Until(t, "the next one is told", func() bool { return srv.Stats().Events["disconnect"] == 1 })
	if n := len(h.questions("")); n != 3 {
		t.Errorf("%d POSTs, want 3", n)
	}
}
