package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"wsify/internal/testtool"
)

// samples returns the samples of a scrape by name and labels, as they are written.
func samples(t *testing.T, srv *Server) map[string]float64 {
	t.Helper()
	got := askAdmin(t, srv, "GET", "/metrics")
	if got.status != 200 {
		t.Fatalf("GET /metrics: %d %s", got.status, got.body)
	}
	all := map[string]float64{}
	for line := range strings.Lines(got.body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "wsify_") {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(line)
			}
			all[strings.TrimPrefix(name, "wsify_")] = v
		}
	}
	return all
}

// TestEveryLabelIsThereFromTheStart, so that a first event shows as an increase.
func TestEveryLabelIsThereFromTheStart(t *testing.T) {
	all := samples(t, startWithAdmin(t, Config{Version: "1.2.3", LogDropped: func() uint64 { return 42 }}))
	for name, want := range map[string]float64{
		`connections_rejected_total{reason="origin"}`:                         0,
		`connections_rejected_total{reason="no_descriptor"}`:                  0,
		`connections_closed_total{reason="slow_consumer"}`:                    0,
		`messages_received_total{command="invalid"}`:                          0,
		`messages_dropped_total{reason="slow_consumer"}`:                      0,
		`broadcasts_total{source="http"}`:                                     0,
		`authorizer_requests_total{command="connect",result="timeout"}`:       0,
		`authorizer_requests_total{command="broadcast",result="unreachable"}`: 0,
		`authorizer_duration_seconds_count`:                                   0,
		`log_lines_dropped_total`:                                             42,
		`broker_up`:                                                           1,
		`build_info{version="1.2.3"}`:                                         1,
	} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	if n := len(all); n > 250 {
		t.Errorf("%d samples of our own; their number must not depend on what clients do", n)
	}
}

// TestMetricsOfASession checks the metrics after events of all kinds.
func TestMetricsOfASession(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wsify-Channel") == "no" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer hook.Close()
	srv := startWithAdmin(t, Config{
		AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "join"}, AllowedOrigins: []string{"https://a.com"}, BroadcastingKey: "k",
	})
	a, b := connect(t, srv.Addr()), connect(t, srv.Addr())
	say := func(c client, commands ...string) {
		t.Helper()
		for _, command := range commands {
			if err := c.send(command); err != nil {
				t.Fatal(err)
			}
		}
	}
	hear := func(c client, want ...string) {
		t.Helper()
		for _, text := range want {
			if got, err := c.heard(); err != nil || got != text {
				t.Fatalf("got %q, %v; want %q", got, err, text)
			}
		}
	}
	const join = `{"command":"join","args":{"channel":"c"},"id":1}`
	say(a, join)
	hear(a, `{"id":1,"ok":true}`)
	say(b, join)
	hear(b, `{"id":1,"ok":true}`)
	say(a, `{"command":"broadcast","args":{"channel":"c","content":1}}`)
	hear(a, "1")
	backend := dial(t, srv.Addr())
	backend.expect(t, postRequest("k", `{"channel":"c","content":2}`), 201)
	_ = backend.Close()
	hear(a, "2") // maybe on another loop
	hear(b, "1", "2")
	say(a, `{"command":"join","args":{"channel":"no"}}`, `{`)
	dial(t, srv.Addr()).expect(t, strings.Replace(upgradeRequest, "Host", "Origin: https://b.com\r\nHost", 1), 403)
	if err := ws.WriteFrame(b, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))); err != nil {
		t.Fatal(err)
	}
	if _, err := b.heard(); err == nil {
		t.Fatal("no answer to a Close frame")
	}
	_ = b.Close()
	testtool.Until(t, "what does not parse is counted", func() bool { return srv.Stats().Received["invalid"] == 1 })
	testtool.Until(t, "one connection is left", func() bool { return srv.Stats().Net.Connections == 1 })
	testtool.Until(t, "both loops have been sampled", func() bool { return samples(t, srv)["loop_lag_seconds_count"] >= 2 })

	all := samples(t, srv)
	for name, want := range map[string]float64{
		"connections": 1, "channels": 1, "subscriptions": 1, "write_queue_bytes": 0, "workers_busy": 0, "queue_depth": 0, "authorizer_inflight": 0, "draining": 0,
		"connections_accepted_total":                                  4,
		`connections_rejected_total{reason="origin"}`:                 1,
		`connections_closed_total{reason="client_close"}`:             1,
		`connections_closed_total{reason="peer_closed"}`:              1,
		`messages_received_total{command="join"}`:                     3,
		`messages_received_total{command="broadcast"}`:                1,
		`messages_received_total{command="invalid"}`:                  1,
		`commands_refused_total{code="denied"}`:                       1,
		`messages_sent_total`:                                         6, // two answers to joins
		`broadcasts_total{source="client"}`:                           1,
		`broadcasts_total{source="http"}`:                             1,
		`authorizer_requests_total{command="connect",result="allow"}`: 2,
		`authorizer_requests_total{command="join",result="allow"}`:    2,
		`authorizer_requests_total{command="join",result="deny"}`:     1,
		`authorizer_duration_seconds_count`:                           5,
	} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"bytes_received_total", "bytes_sent_total", "broadcast_fanout_seconds_count", "broadcast_fanout_seconds_sum", "authorizer_duration_seconds_sum"} {
		if all[name] <= 0 {
			t.Errorf("%s is %v, want more than 0", name, all[name])
		}
	}
}

// TestNoMetricIsNamedByWhatClientsSend: the number of channels, addresses and users has no bound.
func TestNoMetricIsNamedByWhatClientsSend(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	before := len(samples(t, srv))
	for i := range 20 {
		c := dial(t, srv.Addr())
		c.expect(t, strings.Replace(upgradeRequest, "/ws", "/ws?user=secret", 1), 101)
		if err := errors.Join(c.roundTrip(fmt.Sprint("secret", i)), c.send(`{"command":"secret"}`)); err != nil {
			t.Fatal(err)
		}
	}
	body := askAdmin(t, srv, "GET", "/metrics").body
	if after := len(samples(t, srv)); after != before || regexp.MustCompile(`secret|127\.0\.0`).MatchString(body) {
		t.Errorf("%d samples before and %d after: %s", before, after, body)
	}
}

// stopper is a log's handler that blocks its caller when a session is opened: an event loop.
type stopper struct {
	slog.Handler
	stopped, goOn chan struct{}
}

func (s stopper) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "session opened" {
		close(s.stopped)
		<-s.goOn
	}
	return nil
}

func TestMetricsAnswerWhileALoopHangs(t *testing.T) {
	book := &testtool.Log{}
	s := stopper{book.Logger().Handler(), make(chan struct{}), make(chan struct{})}
	srv := startWithAdmin(t, Config{Loops: 1, Logger: slog.New(s)})
	c := dial(t, srv.Addr())
	if _, err := c.Write([]byte(upgradeRequest)); err != nil {
		t.Fatal(err)
	}
	<-s.stopped
	all := samples(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	hangs := !srv.Alive(ctx)
	close(s.goOn)
	if all["connections"] != 1 || all["connections_accepted_total"] != 1 || !hangs {
		t.Errorf("while the loop hangs (%v): %v connections of %v accepted, want 1 of 1", hangs, all["connections"], all["connections_accepted_total"])
	}
}

// BenchmarkScrape measures one scrape of /metrics, as Prometheus asks for it, from a server with
// 1,000 channels.
func BenchmarkScrape(b *testing.B) {
	srv := startWithAdmin(b, Config{MaxChannelsPerConnection: 1000})
	c := connect(b, srv.Addr())
	for i := range 1000 {
		if err := c.send(fmt.Sprintf(`{"command":"join","args":{"channel":"c%d"}}`, i)); err != nil {
			b.Fatal(err)
		}
	}
	testtool.Until(b, "all are joined", func() bool { return srv.Stats().Subscriptions == 1000 })
	r, _ := http.NewRequest("GET", "http://"+srv.AdminAddr().String()+"/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	var size int64
	for b.Loop() {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || answer.StatusCode != 200 {
			b.Fatal(answer, err)
		}
		size, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	b.ReportMetric(float64(size), "bytes")
}
