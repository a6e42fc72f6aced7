package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"wsify/broker"
)

// contractMetrics are the names that are promised, without the prefix, and the labels
// of each.
var contractMetrics = map[string]string{
	"connections": "", "channels": "", "subscriptions": "", "write_queue_bytes": "", "workers_busy": "", "queue_depth": "",
	"authorizer_inflight": "", "broker_up": "", "draining": "",
	"connections_accepted_total": "", "connections_rejected_total": "reason", "connections_closed_total": "reason",
	"messages_received_total": "command", "messages_sent_total": "", "bytes_received_total": "", "bytes_sent_total": "",
	"messages_dropped_total": "reason", "publications_refused_total": "reason", "broadcasts_total": "source", "authorizer_requests_total": "command,result",
	"authorizer_duration_seconds": "", "broadcast_fanout_seconds": "", "loop_lag_seconds": "", "build_info": "version",
	// Beside those of the list: counted anyway, and there is no other place for them.
	"commands_refused_total": "code", "panics_total": "", "log_lines_dropped_total": "",
}

// engineMetrics are there besides when the broker has an engine.
var engineMetrics = map[string]string{
	"broker_subscriptions": "", "broker_subscriptions_pending": "", "broker_publish_queue_length": "", "broker_publish_queue_bytes": "",
	"broker_backlog_bytes": "", "broker_publications_total": "result", "broker_publish_duration_seconds": "", "broker_received_total": "",
	"broker_received_dropped_total": "reason", "broker_connects_total": "", "broker_connect_failures_total": "", "broker_subscription_ends_total": "",
}

// engine is a broker with figures that differ from each other.
func engine() *brokerWithStats {
	return &brokerWithStats{stats: broker.Stats{
		Up: true, Subscriptions: 2, Pending: 3, Waiting: 4, WaitingBytes: 5, BacklogBytes: 6,
		Publications: map[string]uint64{"ok": 7, "down": 8, "unknown": 0, "refused": 9},
		Received:     10, Dropped: map[string]uint64{"channel_busy": 11, "too_big": 0, "not_utf8": 12},
		Connects: 13, FailedConnects: 14, SubscriptionEnds: 15,
	}}
}

// names returns the families of a registry that are ours, with their labels.
func names(t *testing.T, r *prometheus.Registry) map[string]string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), metricPrefix)
		if !ours {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		found[name] = strings.Join(labels, ",")
	}
	return found
}

func TestTheMetricsAreThoseThatArePromised(t *testing.T) {
	srv := start(t, Config{})
	if got := names(t, newRegistry(srv)); !maps.Equal(got, contractMetrics) {
		t.Errorf("with a broker in memory:\n     %v\nwant %v", got, contractMetrics)
	}
	useBroker(t, srv, engine())
	want := maps.Clone(contractMetrics)
	maps.Copy(want, engineMetrics)
	if got := names(t, newRegistry(srv)); !maps.Equal(got, want) {
		t.Errorf("with an engine:\n     %v\nwant %v", got, want)
	}
}

func TestTheMetricsPassPrometheusLint(t *testing.T) {
	srv := start(t, Config{})
	useBroker(t, srv, engine())
	families, err := newRegistry(srv).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// samples returns the samples of a scrape by name and labels, as they are written.
func samples(t *testing.T, srv *Server) map[string]float64 {
	t.Helper()
	got := askAdmin(t, srv, "GET", "/metrics")
	if got.status != 200 {
		t.Fatalf("GET /metrics: %d %s", got.status, got.body)
	}
	all := map[string]float64{}
	for line := range strings.Lines(got.body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, metricPrefix) {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(line)
			}
			all[strings.TrimPrefix(name, metricPrefix)] = v
		}
	}
	return all
}

// TestEveryLabelIsThereFromTheStart, so that a first event is seen as an increase.
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

// TestMetricsOfASession after a bit of everything.
func TestMetricsOfASession(t *testing.T) {
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, `"no"`) {
			return 403
		}
		return 200
	})
	srv := startWithAdmin(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "join"}, AllowedOrigins: []string{"https://a.com"}})
	a, b := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	a.join("c")
	b.join("c")
	a.broadcast("c", "1")
	a.expectText("1")
	publish(t, srv, "c", "2") // maybe on another loop
	a.expectText("2")
	b.expectText("1", "2")
	a.send(`{"command":"join","args":{"channel":"no"}}`)
	a.send(`{`)
	a.expectNothing()
	page := dial(t, srv)
	page.write(upgradeHead("/ws", "Origin: https://b.com"))
	page.expectStatus(403)
	page.expectEnd()
	b.write(closing(1000, ""))
	b.expectClose(1000)
	waitFor(t, "one connection is left", func() bool { return srv.Stats().Net.Connections == 1 })
	waitFor(t, "both loops have been sampled", func() bool { return samples(t, srv)["loop_lag_seconds_count"] >= 2 })

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

// TestFanoutIsTimedToTheLastMember: a publication that has members on both loops is
// timed on each, and only when that loop is done with it.
func TestFanoutIsTimedToTheLastMember(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	srv.sampler.stop() // what is timed is up to this test
	a, b := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	a.join("c")
	b.join("c")
	a.expectNothing()
	before := samples(t, srv)["broadcast_fanout_seconds_count"]
	srv.sampler.due.Store(true)
	say := func(channel, content string) { // not over HTTP: a loop that is held may be the one that accepts
		if _, err := srv.broker.Publish(nil, []byte(channel), []byte(content), nil); err != nil {
			t.Fatal(err)
		}
	}
	say("nobody", "0") // there is nothing to time
	srv.sampler.due.Store(true)
	release := holdLoop(t, srv.loops[0])
	say("c", "1")
	count := func() float64 { return samples(t, srv)["broadcast_fanout_seconds_count"] - before }
	waitFor(t, "the other loop has delivered", func() bool { return count() == 1 })
	say("c", "2") // it joins the first, and is not timed
	release()
	a.expectText("1", "2")
	b.expectText("1", "2")
	waitFor(t, "both loops have delivered", func() bool { return count() == 2 })
	say("c", "3")
	a.expectText("3")
	b.expectText("3")
	if n := count(); n != 2 {
		t.Errorf("%v deliveries were timed, want 2", n)
	}
}

// publishThree times three publications that an engine took.
func publishThree(srv *Server) {
	for _, took := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 10 * time.Second} {
		srv.sampler.published(took)
	}
}

func TestMetricsOfAnEngine(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	b := engine()
	useBroker(t, srv, b)
	publishThree(srv)
	all := samples(t, srv)
	for name, want := range map[string]float64{
		"broker_up": 1, "broker_subscriptions": 2, "broker_subscriptions_pending": 3, "broker_publish_queue_length": 4, "broker_publish_queue_bytes": 5,
		"broker_backlog_bytes": 6, `broker_publications_total{result="ok"}`: 7, `broker_publications_total{result="unknown"}`: 0, `broker_publications_total{result="refused"}`: 9,
		`broker_publish_duration_seconds_bucket{le="0.25"}`: 1, `broker_publish_duration_seconds_bucket{le="0.5"}`: 2, `broker_publish_duration_seconds_bucket{le="+Inf"}`: 3,
		"broker_publish_duration_seconds_count": 3, "broker_publish_duration_seconds_sum": 10.75,
		"broker_received_total": 10, `broker_received_dropped_total{reason="not_utf8"}`: 12, "broker_connects_total": 13, "broker_connect_failures_total": 14,
		"broker_subscription_ends_total": 15,
	} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	b.stats.Up = false
	if got := samples(t, srv)["broker_up"]; got != 0 {
		t.Errorf("broker_up is %v while it is down", got)
	}
}

// TestStatsAreTheMetricsAsJSON: the same names and values.
func TestStatsAreTheMetricsAsJSON(t *testing.T) {
	srv := startWithAdmin(t, Config{Version: "1.2.3"})
	useBroker(t, srv, engine())
	publishThree(srv)
	connect(t, srv, "/ws")
	var all map[string]any
	if err := json.Unmarshal([]byte(askAdmin(t, srv, "GET", "/stats").body), &all); err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(names(t, newRegistry(srv))) {
		if all[metricPrefix+name] == nil {
			t.Errorf("/stats has no %s", metricPrefix+name)
		}
	}
	for name, want := range map[string]string{
		"wsify_connections":                     "1",
		"wsify_build_info":                      "map[1.2.3:1]",
		"wsify_broadcasts_total":                "map[client:0 http:0]",
		"wsify_broker_publish_duration_seconds": "map[buckets:map[0.0001:0 0.00025:0 0.0005:0 0.001:0 0.0025:0 0.005:0 0.01:0 0.025:0 0.05:0 0.1:0 0.25:1 0.5:2 1:2 2.5:2 5:2] count:3 sum:10.75]",
	} {
		if got := fmt.Sprint(all[name]); got != want {
			t.Errorf("/stats: %s is %s, want %s", name, got, want)
		}
	}
	requests, ok := all["wsify_authorizer_requests_total"].(map[string]any)
	if got := slices.Sorted(maps.Keys(requests)); !ok || !slices.Equal(got, []string{"broadcast", "connect", "join", "leave"}) {
		t.Errorf("/stats: wsify_authorizer_requests_total has %v, want the commands", got)
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds", "process_max_fds", "go_goroutines"} {
		if v, ok := all[name].(float64); !ok || v <= 0 {
			t.Errorf("/stats: %s is %v", name, all[name])
		}
	}
}

// TestNoMetricIsNamedByWhatClientsSend: channels, addresses and users have no bound.
func TestNoMetricIsNamedByWhatClientsSend(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	before := len(samples(t, srv))
	for i := range 20 {
		p := connect(t, srv, "/ws?user=secret")
		p.join(fmt.Sprint("secret", i))
		p.send(`{"command":"secret"}`)
	}
	body := askAdmin(t, srv, "GET", "/metrics").body
	if after := len(samples(t, srv)); after != before || regexp.MustCompile(`secret|127\.0\.0`).MatchString(body) {
		t.Errorf("%d samples before and %d after: %s", before, after, body)
	}
}
