package otlp

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"wsify/internal/logs"
	"wsify/internal/testtool"
)

// received is one export, as a collector got it.
type received struct {
	path    string
	header  http.Header
	origin  map[string]string // attributes of the resource
	metrics map[string]*metrics.Metric
}

// startCollector starts a collector, which sends what it receives to the channel it returns, and
// then answers as answer does.
func startCollector(t *testing.T, answer http.HandlerFunc) (url string, got <-chan received) {
	t.Helper()
	all := make(chan received, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportMetricsServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil || len(request.GetResourceMetrics()) != 1 {
			t.Errorf("an export that is none: %v, %q", err, body)
			return
		}
		from := request.GetResourceMetrics()[0]
		e := received{r.URL.Path, r.Header, map[string]string{}, map[string]*metrics.Metric{}}
		for _, a := range from.GetResource().GetAttributes() {
			e.origin[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range from.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				e.metrics[m.GetName()] = m
			}
		}
		all <- e
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, all
}

func next(t *testing.T, got <-chan received) received {
	t.Helper()
	select {
	case e := <-got:
		return e
	case <-time.After(testtool.Patience):
		t.Fatal("no export")
		return received{}
	}
}

func fine(http.ResponseWriter, *http.Request) {}

// export starts an exporter that sends often.
func export(t *testing.T, endpoint string, r *prometheus.Registry) (*Exporter, *testtool.Log) {
	t.Helper()
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
	book := &testtool.Log{}
	e, err := Start(Config{Endpoint: endpoint, Version: "1.2.3", Instance: "127.0.0.1:3000", Metrics: r, Logger: slog.New(logs.Seldom(book.Logger().Handler()))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e, book
}

// result returns how many exports have ended like this.
func result(r *prometheus.Registry, of string) (n float64) {
	families, _ := r.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "wsify_otlp_exports_total" && m.GetLabel()[0].GetValue() == of {
				n = m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestACollectorGetsEveryKindOfMetric(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // the last cleanup
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20secret, X-Tenant=a")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	r := prometheus.NewRegistry()
	counts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "closed_total", Help: "Ended."}, []string{"reason"})
	level := prometheus.NewGauge(prometheus.GaugeOpts{Name: "connections"})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Buckets: []float64{1, 2}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native_seconds", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: 1.1})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "summary_seconds", Objectives: map[float64]float64{.5: .05}})
	r.MustRegister(counts, level, classic, native, summary)
	counts.WithLabelValues("reset").Add(3)
	level.Set(7)
	for _, h := range []prometheus.Observer{classic, native, summary} {
		h.Observe(1.5)
		h.Observe(1.5)
		h.Observe(9)
	}
	url, exports := startCollector(t, fine)
	e, book := export(t, url, r)
	got := next(t, exports)
	if got.path != "/v1/metrics" || got.header.Get("Content-Type") != "application/x-protobuf" || got.header.Get("Authorization") != "Bearer secret" || got.header.Get("X-Tenant") != "a" {
		t.Errorf("a request for %s with %v", got.path, got.header)
	}
	for name, want := range map[string]string{
		"service.name": "wsify", "service.version": "1.2.3", "service.instance.id": "127.0.0.1:3000", "deployment.environment": "test",
	} {
		if got.origin[name] != want {
			t.Errorf("%s is %q, want %q", name, got.origin[name], want)
		}
	}
	sum := got.metrics["closed_total"].GetSum()
	if p := sum.GetDataPoints()[0]; p.GetAsDouble() != 3 || p.GetAttributes()[0].GetKey() != "reason" || p.GetAttributes()[0].GetValue().GetStringValue() != "reset" ||
		!sum.GetIsMonotonic() || sum.GetAggregationTemporality() != cumulative || time.Since(time.Unix(0, int64(p.GetTimeUnixNano()))) > time.Hour {
		t.Errorf("the counter is %v", sum)
	}
	if p := got.metrics["connections"].GetGauge().GetDataPoints()[0]; p.GetAsDouble() != 7 {
		t.Errorf("the gauge is %v", p)
	}
	if p := got.metrics["classic_seconds"].GetHistogram().GetDataPoints()[0]; p.GetCount() != 3 || p.GetSum() != 12 ||
		len(p.GetBucketCounts()) != 3 || p.GetBucketCounts()[1] != 2 || p.GetBucketCounts()[2] != 1 {
		t.Errorf("the histogram is %v", p)
	}
	checkExponential(t, got.metrics["native_seconds"].GetExponentialHistogram().GetDataPoints()[0])
	if p := got.metrics["summary_seconds"].GetSummary().GetDataPoints()[0]; p.GetCount() != 3 || p.GetSum() != 12 || p.GetQuantileValues()[0].GetValue() != 1.5 {
		t.Errorf("the summary is %v", p)
	}
	testtool.Until(t, "exports are counted", func() bool { return result(r, "ok") > 1 })
	e.Stop()
	if text := book.String(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") || result(r, "failed") != 0 {
		t.Errorf("%v exports failed: %s", result(r, "failed"), book)
	}
}

// checkExponential checks the histogram of 1.5, 1.5 and 9.
func checkExponential(t *testing.T, p *metrics.ExponentialHistogramDataPoint) {
	t.Helper()
	base := 1.0
	if p.GetScale() == 3 {
		base = 1.0905077326652577 // 2^(1/8), OTLP's base for this scale
	}
	lower := func(i int) float64 {
		bound := 1.0
		for range int(p.GetPositive().GetOffset()) + i {
			bound *= base
		}
		return bound
	}
	counts := p.GetPositive().GetBucketCounts()
	last := len(counts) - 1
	if p.GetCount() != 3 || p.GetSum() != 12 || last < 1 || counts[0] != 2 || counts[last] != 1 {
		t.Fatalf("the histogram is %v", p)
	}
	for i, v := range map[int]float64{0: 1.5, last: 9} {
		if v <= lower(i) || v > lower(i+1) {
			t.Errorf("bucket %d, from %v to %v, has %v", i, lower(i), lower(i+1), v)
		}
	}
}

func TestTheLastExportHasTheLatestValues(t *testing.T) {
	r := prometheus.NewRegistry()
	level := prometheus.NewGauge(prometheus.GaugeOpts{Name: "connections"})
	r.MustRegister(level)
	url, exports := startCollector(t, fine)
	e, _ := export(t, url, r)
	next(t, exports)
	level.Set(42)
	e.flush = testtool.Patience
	e.Stop()
	e.Stop() // again
	var last received
	for len(exports) > 0 {
		last = next(t, exports)
	}
	if got := last.metrics["connections"].GetGauge().GetDataPoints()[0].GetAsDouble(); got != 42 {
		t.Errorf("the last value is %v, want 42", got)
	}
}

func TestExportsThatFailAreCountedAndSeldomLogged(t *testing.T) {
	partial, _ := proto.Marshal(&collector.ExportMetricsServiceResponse{
		PartialSuccess: &collector.ExportMetricsPartialSuccess{RejectedDataPoints: 5, ErrorMessage: "too old"},
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // so that nothing listens there
	for name, answer := range map[string]http.HandlerFunc{
		"503 Service Unavailable": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"307 Temporary Redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		`rejects 5 values: \"too old\"`: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(partial) },
		"EOF":                           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"connection refused":            nil,
	} {
		r, url := prometheus.NewRegistry(), "http://"+ln.Addr().String()
		if answer != nil {
			url, _ = startCollector(t, answer)
		}
		e, book := export(t, url, r)
		testtool.Until(t, "exports have failed", func() bool { return result(r, "failed") >= 3 })
		e.Stop()
		if text := book.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, name) || result(r, "ok") != 0 {
			t.Errorf("%s: the log is %q, want one line", name, text)
		}
	}
}

// TestACollectorThatHangsDelaysTheEndByASecond: less than the time that an export may take.
func TestACollectorThatHangsDelaysTheEndByASecond(t *testing.T) {
	goOn := make(chan struct{})
	url, exports := startCollector(t, func(http.ResponseWriter, *http.Request) { <-goOn })
	defer close(goOn)
	e, _ := export(t, url, prometheus.NewRegistry())
	next(t, exports)
	began := time.Now()
	e.Stop()
	if took := time.Since(began); took > sendTimeout/2 {
		t.Errorf("Stop took %s", took)
	}
}

// The SDK's own messages go to the log: stderr has lines of JSON only.
func TestAWrongIntervalIsLogged(t *testing.T) {
	url, _ := startCollector(t, fine)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "2s")
	book := &testtool.Log{}
	e, err := Start(Config{Endpoint: url, Metrics: prometheus.NewRegistry(), Logger: book.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	e.Stop()
	if text := book.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "OTEL_METRIC_EXPORT_INTERVAL") || !strings.Contains(text, "2s") {
		t.Errorf("the log is %q", text)
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://localhost:4318":            "http://localhost:4318/v1/metrics",
		"https://otel.example/":            "https://otel.example/v1/metrics",
		"http://[::1]:4318/custom/metrics": "http://[::1]:4318/custom/metrics",
		"localhost:4318":                   "",
		"grpc://localhost:4317":            "",
		"http://":                          "",
		"http://:4318":                     "",
		"http://user:secret@localhost":     "",
		"http://localhost?key=secret":      "",
		"http://localhost#a":               "",
		"http://local host":                "",
		"http://localhost:port-secret":     "",
	} {
		u, err := parse(endpoint)
		switch {
		case want == "" && (err == nil || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want an error without secrets", endpoint, err)
		case want != "" && (err != nil || u.String() != want):
			t.Errorf("%s: %v, %v; want %s", endpoint, u, err, want)
		}
	}
}

func TestHeadersThatAreWrong(t *testing.T) {
	for _, text := range []string{"secret", "a=%zzsecret", "=secret", "a=1,secret"} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", text)
		_, err := Start(Config{Endpoint: "http://localhost", Metrics: prometheus.NewRegistry()})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS") {
			t.Errorf("%q: %v, want an error that names the variable and not the value", text, err)
		}
	}
}

func TestTheCounterPassesPrometheusLint(t *testing.T) {
	if problems, err := testutil.CollectAndLint(newSender("", nil, nil).exports); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
