package session

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// TestStatsAddUp checks Stats after a few operations of each kind.
func TestStatsAddUp(t *testing.T) {
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, `"no"`) {
			return 403
		}
		return 200
	})
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}})
	a, b := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	a.join("c") // an ack counts as a message: 1 sent
	b.join("c") // 2
	for i := range 10 {
		a.broadcast("c", fmt.Sprint(i)) // 20 deliveries: 22
		a.expectText(fmt.Sprint(i))
		b.expectText(fmt.Sprint(i))
	}
	post201(t, srv, "c", "1") // 24
	a.expectText("1")
	b.expectText("1")
	a.broadcast("empty", "1")
	a.leave("c") // 25
	a.send(`{"command":"join","args":{"channel":"no"}}`)
	a.send(`{"command":"fly"}`)
	a.send(`{`)
	a.expectNothing()
	post(t, srv, "/broadcast", `{`)
	post(t, srv, "/nowhere", ``)
	for _, head := range []string{"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "x\r\n\r\n"} {
		p := dial(t, srv)
		p.write(head)
		p.response()
		p.expectEnd()
	}
	gone := dial(t, srv)
	gone.write("GET /ws")
	gone.closeWrite()
	gone.expectEnd()
	a.write(closing(1000, ""))
	a.expectClose(1000)
	b.reset()
	testtool.Until(t, "all connections are gone", func() bool { return srv.Stats().Net.Connections == 0 })

	got := srv.Stats()
	if got.Accepted != got.Upgraded+total(got.Rejected)+2+1 || got.Accepted != total(got.Closed) {
		t.Errorf("accepted %d, upgraded %d, rejected %d, 2 backends, 1 ended early; closed %v",
			got.Accepted, got.Upgraded, total(got.Rejected), got.Closed)
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"accepted", got.Accepted, uint64(8)},
		{"upgraded", got.Upgraded, uint64(2)},
		{"rejected", notZero(got.Rejected), map[string]uint64{"malformed": 1, "no_upgrade": 1, "not_found": 1}},
		{"unpublished", notZero(got.Unpublished), map[string]uint64{"malformed": 1}},
		{"received", got.Received, map[string]uint64{"join": 3, "broadcast": 11, "leave": 1, "invalid": 2}},
		{"not done", notZero(got.NotDone), map[string]uint64{"denied": 1, "unknown_command": 1, "bad_request": 1}},
		{"broadcasts", got.Broadcasts, map[string]uint64{"client": 11, "http": 1}},
		{"sent", got.Sent, uint64(25)},
		{"dropped", notZero(got.Dropped), map[string]uint64{}},
		{"closed", notZero(got.Closed), map[string]uint64{"client_close": 1, "reset": 1, "peer_closed": 3, "handshake_refused": 3}},
		{"authorizer", notZero(got.Authorizer["join"]), map[string]uint64{"allow": 2, "deny": 1}},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// total returns the sum of the counts.
func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// TestStrangersDoNotWriteTheLog: after the start of the server, no error of a peer is
// logged above debug.
func TestStrangersDoNotWriteTheLog(t *testing.T) {
	srv, book := startLogged(t, Config{BroadcastingKey: "k", HandshakeTimeout: time.Second})
	started := len(book.String())
	for _, raw := range []string{
		"\x16\x03\x01\x02\x00", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "x\r\n\r\n", "POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
		postRequest("/broadcast?key=x", "{}"), "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nbroken\r\n\r\n", "GET /ws",
		upgradeHead("/ws") + "\x81\x00", upgradeHead("/ws") + message("\xff"), upgradeHead("/ws") + closing(1, ""),
	} {
		p := dial(t, srv)
		p.write(raw)
		p.closeWrite()
		for {
			if _, err := p.r.ReadByte(); err != nil {
				break
			}
		}
		q := dial(t, srv)
		q.write(raw)
		q.reset()
	}
	testtool.Until(t, "all connections are gone", func() bool { return srv.Stats().Net.Connections == 0 })
	for line := range strings.Lines(book.String()[started:]) {
		if !strings.Contains(line, "level=DEBUG") {
			t.Errorf("logged: %s", line)
		}
	}
}
