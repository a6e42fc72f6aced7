package session

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"wsify/internal/command"
	"wsify/internal/testtool"
)

// startAccess starts a node with an access log. Its level is error, which hides all other records.
func startAccess(t *testing.T, cfg Config) (*Server, *testtool.Log) {
	t.Helper()
	book := &testtool.Log{}
	cfg.Logger = slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: slog.LevelError}))
	return start(t, cfg), book
}

// ended waits until n connections are in the access log, and returns their records.
func ended(t *testing.T, book *testtool.Log, n int) []map[string]any {
	t.Helper()
	var records []map[string]any
	testtool.Until(t, "all ends are logged", func() bool {
		records = find(t, book, map[string]any{"msg": endedMessage, "level": "INFO"})
		return len(records) >= n
	})
	if len(records) != n {
		t.Fatalf("%d records, want %d:\n%s", len(records), n, book)
	}
	return records
}

// expectRecord checks these attributes of a record.
func expectRecord(t *testing.T, got, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %v, want %v; the record is %v", key, got[key], value, got)
		}
	}
}

func TestTheAccessLogHasEachConnectionAtItsEnd(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{AccessLogSample: 1})
	p := dial(t, srv)
	head := upgradeHead("/ws", "user-AGENT: a browser")
	p.write(head)
	p.expectUpgrade()
	p.join("a", "b")
	p.leave("b")
	p.broadcast("a", `"hello"`)
	p.expectText(`"hello"`)
	addr := p.LocalAddr().String()
	p.write(closing(4321, "bye"))
	p.expectClose(4321)
	got := ended(t, book, 1)[0]
	expectRecord(t, got, map[string]any{
		"addr": addr, "user_agent": "a browser", "messages_in": 4.0, "messages_out": 4.0,
		"channels": 1.0, "status": 101.0, "code": 4321.0, "reason": "client_close",
	})
	if id, _ := got["conn"].(string); !strings.HasPrefix(id, srv.name) {
		t.Errorf("conn is %q", id)
	}
	if seconds, ok := got["seconds"].(float64); !ok || seconds < 0 || seconds > patience.Seconds() {
		t.Errorf("seconds is %v", got["seconds"])
	}
}

// A connection of a user has the user's name in its record; others have none.
func TestTheAccessLogHasTheUser(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{AccessLogSample: 1, AuthorizerURL: newNamingWebhook(t).URL})
	for i, tc := range []struct {
		target string
		want   any
	}{{"/ws?user=ann%20b", "ann b"}, {"/ws", nil}} {
		p := connect(t, srv, tc.target)
		p.write(closing(1000, ""))
		p.expectClose(1000)
		if got := ended(t, book, i+1)[i]["user"]; got != tc.want {
			t.Errorf("%s: the user is %v, want %v", tc.target, got, tc.want)
		}
	}
}

// The kernel's counts are exact when both sides end the stream in order, and also in the middle.
func TestTheAccessLogHasTheBytesOfBothDirections(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{AccessLogSample: 1})
	head, bye := upgradeHead("/ws"), closing(1000, "")
	for i, end := range []func(p *peer){
		func(p *peer) { p.write(bye); p.expectClose(1000) },
		func(p *peer) { p.sync(); p.closeWrite(); p.expectEnd() },
		func(p *peer) { p.sync(); p.Conn = p.Conn.(*countingConn).TCPConn; p.reset() },
	} {
		p := dial(t, srv)
		counted := &countingConn{TCPConn: p.Conn.(*net.TCPConn)}
		p.Conn = counted
		p.r.Reset(counted)
		p.write(head)
		p.expectUpgrade()
		end(p)
		all := ended(t, book, i+1)
		expectRecord(t, all[i], map[string]any{"bytes_in": float64(counted.wrote), "bytes_out": float64(counted.read)})
	}
}

// countingConn counts what is written and read.
type countingConn struct {
	*net.TCPConn
	wrote, read int
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.wrote += n
	return n, err
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.read += n
	return n, err
}

func TestTheAccessLogSaysHowAConnectionEnded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		act  func(p *peer)
		want map[string]any
	}{
		{"an empty Close frame", func(p *peer) {
			p.write(upgradeHead("/ws"))
			p.expectUpgrade()
			p.write(masked(0x80|opClose, ""))
			p.expectClose(0)
		},
			map[string]any{"status": 101.0, "code": 1005.0, "reason": "client_close", "channels": 0.0}},
		{"a broken rule", func(p *peer) {
			p.write(upgradeHead("/ws"))
			p.expectUpgrade()
			p.join("a")
			p.write("\xff\xff")
			p.expectClose(1002)
		},
			map[string]any{"status": 101.0, "code": 1002.0, "reason": "protocol_error", "channels": 1.0}},
		{"a reset", func(p *peer) { p.write(upgradeHead("/ws")); p.expectUpgrade(); p.join("a", "b"); p.reset() },
			map[string]any{"status": 101.0, "code": 1006.0, "reason": "reset", "channels": 2.0}},
		{"the end of the stream", func(p *peer) { p.write(upgradeHead("/ws")); p.expectUpgrade(); p.closeWrite(); p.expectEnd() },
			map[string]any{"status": 101.0, "code": 1006.0, "reason": "peer_closed", "channels": 0.0}},
		{"another origin", func(p *peer) {
			p.write(upgradeHead("/ws", "Origin: https://b.com", "User-Agent: spy"))
			p.expectStatus(403)
		},
			map[string]any{"status": 403.0, "code": 0.0, "reason": "handshake_refused", "user_agent": "spy"}},
		{"no HTTP", func(p *peer) { p.write("\x16\x03\x01\r\n\r\n"); p.response() },
			map[string]any{"status": 400.0, "code": 0.0, "reason": "handshake_refused", "user_agent": ""}},
		{"a publication", func(p *peer) {
			p.write(postRequest("/broadcast", `{"channel":"c","content":1}`, "Connection: close"))
			p.expectStatus(201)
		},
			map[string]any{"status": 201.0, "code": 0.0, "reason": "http", "messages_in": 0.0}},
		{"a long user agent", func(p *peer) {
			p.write(upgradeHead("/ws", "User-Agent: "+strings.Repeat("a", 255)+"\xff\xff"))
			p.expectUpgrade()
			p.reset()
		},
			map[string]any{"user_agent": strings.Repeat("a", 255) + "\uFFFD"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv, book := startAccess(t, Config{AccessLogSample: 1, AllowedOrigins: []string{"https://a.com"}})
			p := dial(t, srv)
			addr := p.LocalAddr().String()
			tc.act(p)
			_ = p.Close()
			got := ended(t, book, 1)[0]
			expectRecord(t, got, tc.want)
			expectRecord(t, got, map[string]any{"addr": addr})
		})
	}
}

// Messages that a slow consumer did not get are not among those that it was sent.
func TestTheAccessLogCountsDeliveriesAndNotDrops(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{AccessLogSample: 1, Loops: 1, WriteQueueSize: 4 << 10, DropSlow: true})
	slow, other := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	slow.join("a")
	slow.join("b") // deliveries of two channels in a turn are queued
	other.join("a")
	addr := slow.LocalAddr().String()
	content := `"` + strings.Repeat("x", 60_000) + `"`
	for srv.Stats().Dropped["slow_consumer"] == 0 {
		post201(t, srv, "a", content)
		post201(t, srv, "b", content)
		other.expectText(content)
	}
	settle(t, srv)
	st := srv.Stats()
	other.reset()
	slow.reset()
	var in, out float64
	testtool.Until(t, "both have ended", func() bool { return len(find(t, book, map[string]any{"msg": endedMessage, "status": 101.0})) == 2 })
	for _, record := range find(t, book, map[string]any{"msg": endedMessage, "status": 101.0}) {
		in, out = in+record["messages_in"].(float64), out+record["messages_out"].(float64)
	}
	if out != float64(st.Sent) || in != 3 {
		t.Errorf("the records have %v messages in and %v out; want 3 and %d", in, out, st.Sent)
	}
	if len(find(t, book, map[string]any{"addr": addr})) != 1 {
		t.Errorf("not one record of %s:\n%s", addr, book)
	}
}

func TestAnAccessLogOfAHalfLogsSomeConnections(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{AccessLogSample: 0.5})
	const all = 200 // that none or all are logged has a chance of 2 in 2^200
	for range all {
		p := connect(t, srv, "/ws")
		p.write(closing(1000, ""))
		p.expectClose(1000)
	}
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if n := len(find(t, book, map[string]any{"msg": endedMessage})); n == 0 || n == all {
		t.Errorf("%d of %d connections were logged", n, all)
	}
}

func TestWithoutAnAccessLogALoopHasNone(t *testing.T) {
	t.Parallel()
	srv, book := startAccess(t, Config{})
	p := connect(t, srv, "/ws")
	p.write(closing(1000, ""))
	p.expectClose(1000)
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for _, l := range srv.loops {
		if l.access != nil {
			t.Error("a loop has an access log")
		}
	}
	if book.String() != "" {
		t.Errorf("logged:\n%s", book)
	}
}

// With both, a connection has one last record.
func TestTheAccessLogReplacesTheRecordOfTheLevelDebug(t *testing.T) {
	t.Parallel()
	srv, book := startJSON(t, Config{AccessLogSample: 1})
	p := connect(t, srv, "/ws")
	p.write(closing(1000, ""))
	p.expectClose(1000)
	ended(t, book, 1)
	if all := find(t, book, map[string]any{"msg": endedMessage}); len(all) != 1 {
		t.Errorf("%d records of the end", len(all))
	}
}

// A parked session's messages count once, when they are received.
func TestTheAccessLogCountsMessagesThatWaitOnce(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, func(question) int { return 200 })
	srv, book := startAccess(t, Config{AccessLogSample: 1, AuthorizerURL: hook.URL})
	p := connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"a"}}`)
	p.send(`{"command":"join","args":{"channel":"b"},"id":1}`)
	p.expectText(string(command.AppendOK(nil, []byte("1"))))
	p.write(closing(1000, ""))
	p.expectClose(1000)
	expectRecord(t, ended(t, book, 1)[0], map[string]any{"messages_in": 2.0, "channels": 2.0})
}

func TestSecondsInTheAccessLogHaveThreeDecimalsAtMost(t *testing.T) {
	t.Parallel()
	for ms := range 100_000 {
		got := strconv.FormatFloat(seconds(time.Duration(ms)*time.Millisecond+400*time.Microsecond), 'f', -1, 64)
		if _, decimals, _ := strings.Cut(got, "."); len(decimals) > 3 {
			t.Fatalf("%d ms are written as %s", ms, got)
		}
	}
}
