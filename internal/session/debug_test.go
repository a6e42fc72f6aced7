package session

import (
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// startJSON is start with a log of JSON lines at level debug.
func startJSON(t *testing.T, cfg Config) (*Server, *testtool.Log) {
	book := &testtool.Log{}
	cfg.Logger = slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return start(t, cfg), book
}

// find returns the records that have these attributes, in order.
func find(t *testing.T, b *testtool.Log, want map[string]any) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		both := maps.Clone(record)
		maps.Copy(both, want)
		if maps.Equal(both, record) {
			found = append(found, record)
		}
	}
	return found
}

// An operator can find the history of a connection by its address, or by the id that the
// authorizer got.
func TestWhatHappenedToAConnectionIsInTheLogAtDebug(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, "secret") {
			return 403
		}
		return 200
	})
	srv, book := startJSON(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "join"}, MaxChannelsPerConnection: 1, AllowedOrigins: []string{"https://a.com"}})
	p := connect(t, srv, "/ws")
	addr := p.LocalAddr().String()
	p.join("c")
	p.send(`{"command":"join","args":{"channel":"secret"}}`)
	p.send(`{"command":"join","args":{"channel":"one too many"}}`)
	p.send(`{`)
	p.expectNothing()
	p.write(closing(1000, ""))
	p.expectClose(1000)
	foreign := dial(t, srv)
	foreign.write(upgradeHead("/ws", "Origin: https://b.com"))
	foreign.expectStatus(403)
	denied := dial(t, srv)
	denied.write(upgradeHead("/ws?secret=1"))
	denied.expectStatus(403)
	testtool.Until(t, "all have ended", func() bool { return len(find(t, book, map[string]any{"msg": "connection ended"})) == 3 })

	opened := find(t, book, map[string]any{"msg": "session opened", "addr": addr})
	if len(opened) != 1 {
		t.Fatalf("%d sessions opened from %s:\n%s", len(opened), addr, book)
	}
	conn := opened[0]["conn"]
	if want := hook.questions("connect")[0].header.Get("X-Wsify-Connection"); conn != want {
		t.Errorf("conn is %v; the authorizer got %q", conn, want)
	}
	for _, want := range []map[string]any{
		{"msg": "authorizer", "conn": conn, "command": "join", "decision": "deny"},
		{"msg": "command refused", "conn": conn, "addr": addr, "command": "join", "channel": "secret", "reason": "denied"},
		{"msg": "command refused", "conn": conn, "addr": addr, "command": "join", "channel": "one too many", "reason": "limit"},
		{"msg": "command refused", "conn": conn, "addr": addr, "reason": "bad_request", "detail": "not valid JSON"},
		{"msg": "connection ended", "conn": conn, "addr": addr, "reason": "client_close"},
		{"msg": "handshake refused", "addr": foreign.LocalAddr().String(), "status": 403.0, "reason": "origin", "detail": "This origin is not allowed."},
		{"msg": "handshake refused", "addr": denied.LocalAddr().String(), "status": 403.0, "reason": "denied"},
		{"msg": "connection ended", "addr": denied.LocalAddr().String(), "reason": "handshake_refused"},
	} {
		if found := find(t, book, want); len(found) != 1 {
			t.Errorf("%d records with %v; want 1", len(found), want)
		}
	}
	if t.Failed() {
		t.Logf("%s", book)
	}
}

// The level may change while connections are open. The address of one that is older is
// known, and none is kept for longer than its connection.
func TestTheLevelOfTheLogMayChangeWhileConnectionsAreOpen(t *testing.T) {
	t.Parallel()
	book, level := &testtool.Log{}, &slog.LevelVar{}
	srv := start(t, Config{Loops: 1, Logger: slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: level}))})
	older := connect(t, srv, "/ws")
	level.Set(slog.LevelDebug)
	later := connect(t, srv, "/ws")
	for _, p := range []*peer{older, later} {
		p.send("not JSON")
		p.expectNothing()
		refused := map[string]any{"msg": "command refused", "addr": p.LocalAddr().String()}
		if n := len(find(t, book, refused)); n != 1 {
			t.Errorf("%d records with %v, want 1:\n%s", n, refused, book)
		}
	}
	level.Set(slog.LevelInfo)
	for _, p := range []*peer{older, later} {
		p.write(closing(1000, ""))
		p.expectClose(1000)
	}
	testtool.Until(t, "both have ended", func() bool { return srv.Stats().Net.Connections == 0 })
	onLoop(t, srv.loops[0], func() {
		if n := len(srv.loops[0].addrs); n != 0 {
			t.Errorf("%d addresses are kept for connections that have ended", n)
		}
	})
}

func TestWhatTheBrokerRefusedIsCountedAndInTheLogAtDebug(t *testing.T) {
	for _, asynchronous := range []bool{false, true} {
		b := &testBroker{asynchronous: asynchronous}
		b.fail(errTest)
		book := &testtool.Log{}
		srv := startWith(t, Config{Logger: slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))}, b)
		p := connect(t, srv, "/ws")
		p.broadcast("c", "1")
		p.send(`{"command":"broadcast","args":{"channel":"c"},"id":4}`)
		if asynchronous {
			b.await(t, 2)
		}
		p.expectText(`{"id":4,"ok":false,"error":{"code":"broker_down","message":"the broker refused the publication"}}`)
		want := uint64(2)
		if asynchronous {
			p.send(`{"command":"join","args":{"channel":"c"}}`)
			b.await(t, 1)
			p.expectNothing()
			want = 3
		}
		refused := map[string]any{"msg": "command refused", "addr": p.LocalAddr().String(), "channel": "c", "reason": "broker_down"}
		testtool.Until(t, "the last is counted", func() bool { return srv.Stats().NotDone["broker_down"] >= want })
		if got := srv.Stats().NotDone["broker_down"]; got != want || len(find(t, book, refused)) != int(want) {
			t.Errorf("asynchronous %t: %d commands refused with broker_down, want %d; log:\n%s", asynchronous, got, want, book)
		}
	}
}
