package operate

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
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

// testSource is a server with these counters; some of its loops may not answer.
type testSource struct {
	stats    Stats
	notReady []string
	stuck    []bool // by loop
	channels map[string]int
}

func (s *testSource) Stats() Stats       { return s.stats }
func (s *testSource) NotReady() []string { return s.notReady }
func (s *testSource) Loops() int         { return len(s.stuck) }

func (s *testSource) EachChannel(fn func(string, int) bool) {
	for name, members := range s.channels {
		if !fn(name, members) {
			return
		}
	}
}

func (s *testSource) AskLoop(i int) <-chan struct{} {
	answer := make(chan struct{})
	if !s.stuck[i] {
		close(answer)
	}
	return answer
}

// zeros returns the counters of a server that has just started, with one value of each label.
func zeros() Stats {
	one := func(label string) map[string]uint64 { return map[string]uint64{label: 0} }
	return Stats{
		HasAuthorizer: true,
		Rejected:      one("origin"), Received: one("join"), NotDone: one("denied"), Orders: one("kick"), Broadcasts: map[string]uint64{"client": 0, "http": 0}, Unpublished: one("key"),
		Dropped: one("slow_consumer"), Closed: one("client_close"), Authorizer: map[string]map[string]uint64{"join": one("allow")}, Ignored: one("X-Wsify-User"),
		Events: one("kicked"), EventsLost: one("shutdown"),
		HistoryReads: one("ok"), Recoveries: one("lost"),
	}
}

func newTestAdmin(source Source) *Admin {
	sampler := NewSampler(false)
	metrics := NewRegistry("1.2.3", nil, source, sampler)
	log := slog.New(slog.DiscardHandler)
	return newAdmin(Config{Version: "1.2.3", Metrics: metrics, Logger: log, Faults: log}, source, sampler, true)
}

// get requests a page of an admin listener.
func get(a *Admin, path string) (status int, body string) {
	answer := httptest.NewRecorder()
	a.handler().ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer.Code, answer.Body.String()
}

func TestHealthNamesTheLoopThatIsStuck(t *testing.T) {
	source := &testSource{stuck: []bool{false, true, false}}
	a := newTestAdmin(source)
	a.alive = 10 * time.Millisecond
	for range 3 {
		if status, body := get(a, "/healthz"); status != 503 || body != "event loop 1 has not answered in 10ms\n" {
			t.Errorf("with loop 1 stuck: %d %q", status, body)
		}
	}
	source.stuck[1] = false
	a.alive = aliveTimeout
	if status, body := get(a, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("once the loop answers: %d %q", status, body)
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	source := &testSource{}
	a := newTestAdmin(source)
	if status, body := get(a, "/readyz"); status != 200 || body != "ok\n" {
		t.Errorf("ready: %d %q", status, body)
	}
	source.notReady = []string{"the broker is down", "full"}
	if status, body := get(a, "/readyz"); status != 503 || body != "the broker is down\nfull\n" {
		t.Errorf("not ready: %d %q", status, body)
	}
}

// contractMetrics are the promised names, without the prefix, and the labels of each.
var contractMetrics = map[string]string{
	"connections": "", "channels": "", "subscriptions": "", "write_queue_bytes": "", "workers_busy": "", "queue_depth": "",
	"authorizer_inflight": "", "broker_up": "", "draining": "",
	"connections_accepted_total": "", "connections_rejected_total": "reason", "connections_closed_total": "reason",
	"messages_received_total": "command", "messages_sent_total": "", "bytes_received_total": "", "bytes_sent_total": "",
	"messages_dropped_total": "reason", "publications_refused_total": "reason", "broadcasts_total": "source", "authorizer_requests_total": "command,result",
	"authorizer_headers_ignored_total": "header", "authorizer_duration_seconds": "", "broadcast_fanout_seconds": "", "loop_lag_seconds": "", "build_info": "version",
	// Not promised: they are counted anyway, and have no other place.
	"commands_refused_total": "code", "panics_total": "", "loop_unanswered_seconds": "", "log_lines_dropped_total": "", "admin_requests_refused_total": "reason", "admin_orders_total": "order",
	"recoveries_total": "result", "history_channels": "", "history_bytes": "", "memory_history_bytes": "", "memory_history_lost_total": "", "history_reads_total": "result", "history_gaps_total": "", "history_doubles_total": "",
	"events_waiting": "", "events_total": "event", "events_dropped_total": "reason",
}

// engineMetrics are also there when the broker has an engine.
var engineMetrics = map[string]string{
	"broker_subscriptions": "", "broker_subscriptions_pending": "", "broker_publish_queue_length": "", "broker_publish_queue_bytes": "",
	"broker_backlog_bytes": "", "broker_publications_total": "result", "broker_publish_duration_seconds": "", "broker_received_total": "",
	"broker_received_dropped_total": "reason", "broker_connects_total": "", "broker_connect_failures_total": "", "broker_subscription_ends_total": "",
}

// engine returns Stats of a broker in which all values differ.
func engine() *broker.Stats {
	return &broker.Stats{
		Up: true, Subscriptions: 2, Pending: 3, Waiting: 4, WaitingBytes: 5, BacklogBytes: 6,
		Publications: map[string]uint64{"ok": 7, "down": 8, "unknown": 0, "refused": 9},
		Received:     10, Dropped: map[string]uint64{"channel_busy": 11, "too_big": 0, "not_utf8": 12},
		Connects: 13, FailedConnects: 14, SubscriptionEnds: 15,
	}
}

// names returns our metric families in a registry, with their labels.
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
	source := &testSource{stats: zeros()}
	a := newTestAdmin(source)
	if got := names(t, a.cfg.Metrics); !maps.Equal(got, contractMetrics) {
		t.Errorf("with a broker in memory:\n     %v\nwant %v", got, contractMetrics)
	}
	source.stats.Broker = engine()
	want := maps.Clone(contractMetrics)
	maps.Copy(want, engineMetrics)
	if got := names(t, a.cfg.Metrics); !maps.Equal(got, want) {
		t.Errorf("with an engine:\n     %v\nwant %v", got, want)
	}
}

func TestTheMetricsPassPrometheusLint(t *testing.T) {
	source := &testSource{stats: zeros()}
	source.stats.Broker = engine()
	families, err := newTestAdmin(source).cfg.Metrics.Gather()
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
func samples(t *testing.T, a *Admin) map[string]float64 {
	t.Helper()
	status, body := get(a, "/metrics")
	if status != 200 {
		t.Fatalf("GET /metrics: %d %s", status, body)
	}
	all := map[string]float64{}
	for line := range strings.Lines(body) {
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

// publishThree times three publications that an engine took.
func publishThree(s *Sampler) {
	for _, took := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 10 * time.Second} {
		s.Published(took)
	}
}

func TestMetricsOfAnEngine(t *testing.T) {
	source := &testSource{stats: zeros()}
	source.stats.Broker = engine()
	a := newTestAdmin(source)
	publishThree(a.sampler)
	all := samples(t, a)
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
	source.stats.Broker.Up = false
	if got := samples(t, a)["broker_up"]; got != 0 {
		t.Errorf("broker_up is %v while it is down", got)
	}
}

// TestStatsAreTheMetricsAsJSON checks that names and values are the same.
func TestStatsAreTheMetricsAsJSON(t *testing.T) {
	source := &testSource{stats: zeros()}
	source.stats.Broker, source.stats.Net.Connections = engine(), 1
	a := newTestAdmin(source)
	publishThree(a.sampler)
	_, stats := get(a, "/stats")
	var all map[string]any
	if err := json.Unmarshal([]byte(stats), &all); err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(names(t, a.cfg.Metrics)) {
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
	if got := slices.Sorted(maps.Keys(requests)); !ok || !slices.Equal(got, []string{"join"}) {
		t.Errorf("/stats: wsify_authorizer_requests_total has %v, want the commands", got)
	}
	if v, ok := all["process_cpu_seconds_total"].(float64); !ok || v < 0 { // 0 in the first hundredth of a second
		t.Errorf("/stats: process_cpu_seconds_total is %v", all["process_cpu_seconds_total"])
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_start_time_seconds", "process_max_fds", "go_goroutines"} {
		if v, ok := all[name].(float64); !ok || v <= 0 {
			t.Errorf("/stats: %s is %v", name, all[name])
		}
	}
}

// Only the first publication of an interval is timed.
func TestOnePublicationOfAnIntervalIsTimed(t *testing.T) {
	s := NewSampler(false)
	if s.Stamp(nil) != 0 {
		t.Error("one is timed before anything samples")
	}
	s.sample(&testSource{stats: zeros()}, time.Now())
	stamp := s.Stamp(nil)
	if stamp == 0 || s.Stamp(nil) != 0 {
		t.Error("not the first one alone is timed")
	}
	s.Delivered(stamp)
}

// docs/metrics.md describes each metric of wsify, and no other.
func TestThePageOfMetricsHasThemAll(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range []map[string]string{contractMetrics, engineMetrics} {
		for name := range names {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/metrics.md says nothing of %s", name)
			}
		}
	}
	for _, found := range regexp.MustCompile("(?m)^\\| (`[^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(found[1], ",") {
			name = strings.Trim(name, " `")
			if _, ok := contractMetrics[name]; !ok && !strings.HasPrefix(name, "broker_") {
				t.Errorf("docs/metrics.md describes %s, which is not there", name)
			}
		}
	}
}

// Alerts and dashboard name no metric that does not exist. test/prometheus_test.go tries them.
func TestAlertsAndDashboardNameMetricsThatExist(t *testing.T) {
	named := regexp.MustCompile(metricPrefix + `[a-z_]+`)
	for _, path := range []string{"../../deploy/prometheus/wsify.rules.yml", "../../deploy/prometheus/wsify.rules.test.yml", "../../deploy/grafana/wsify.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", path)
		}
		for _, name := range found {
			name = strings.TrimSuffix(strings.TrimPrefix(name, metricPrefix), "_bucket")
			if _, ok := contractMetrics[name]; !ok {
				if _, ok := engineMetrics[name]; !ok {
					t.Errorf("%s names %s, which does not exist", path, name)
				}
			}
		}
	}
}
