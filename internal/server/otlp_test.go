package server

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"wsify/internal/testtool"
)

// otlpCollector returns the URL of a collector, and a function that returns its latest export: each
// metric by its name, as text.
func otlpCollector(t *testing.T) (url string, last func() map[string]string) {
	t.Helper()
	var mu sync.Mutex
	var latest map[string]string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request collector.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			t.Error(err)
		}
		from := request.GetResourceMetrics()[0]
		got := map[string]string{"resource": from.GetResource().String()}
		for _, m := range from.GetScopeMetrics()[0].GetMetrics() {
			got[m.GetName()] = m.String()
		}
		mu.Lock()
		defer mu.Unlock()
		latest = got
	}))
	t.Cleanup(s.Close)
	return s.URL, func() map[string]string {
		mu.Lock()
		defer mu.Unlock()
		return latest
	}
}

// TestMetricsAreExported, with and without an admin listener. Both sample durations.
func TestMetricsAreExported(t *testing.T) {
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
	for _, admin := range []string{"", "127.0.0.1:0"} {
		url, last := otlpCollector(t)
		srv := start(t, Config{OTLPEndpoint: url, AdminAddr: admin, Version: "1.2.3"})
		testtool.Until(t, "both loops have been sampled", func() bool {
			return regexp.MustCompile(`count: *[2-9]`).MatchString(last()["wsify_loop_lag_seconds"])
		})
		got := last()
		if !strings.Contains(got["resource"], "1.2.3") || !strings.Contains(got["resource"], instance(srv.addrs[0])) {
			t.Errorf("the resource is %s", got["resource"])
		}
		if got["process_resident_memory_bytes"] == "" || got["go_goroutines"] == "" {
			t.Error("the process is not exported")
		}
		if admin != "" {
			testtool.Until(t, "exports are counted", func() bool { return samples(t, srv)[`otlp_exports_total{result="ok"}`] > 0 })
		}
	}
}

func TestNodesOnAllMachinesHaveInstancesOfTheirOwn(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for want, addr := range map[string]net.Addr{
		host + ":3000":       &net.TCPAddr{IP: net.IPv6unspecified, Port: 3000},
		host + ":3002":       &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3002},
		host + ":/run/ws.so": &net.UnixAddr{Net: "unix", Name: "/run/ws.so"},
	} {
		if got := instance(addr); got != want {
			t.Errorf("of %s: %s, want %s", addr, got, want)
		}
	}
}

func TestWithoutACollectorNothingIsExported(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	if _, there := samples(t, srv)[`otlp_exports_total{result="ok"}`]; there || srv.export != nil {
		t.Error("exports are counted without a collector")
	}
}

func TestACollectorThatIsNone(t *testing.T) {
	err := (&Config{OTLPEndpoint: "localhost:4318"}).Validate()
	if err == nil || !strings.HasPrefix(err.Error(), "-otlp-endpoint: it has to begin with http:// or https://") {
		t.Errorf("error %v", err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "secret")
	_, err = Start(Config{ListenAddrs: []string{"127.0.0.1:0"}, Loops: 1, OTLPEndpoint: "http://localhost:4318"})
	if err == nil || !strings.HasPrefix(err.Error(), "-otlp-endpoint: OTEL_EXPORTER_OTLP_HEADERS: ") {
		t.Errorf("error %v", err)
	}
}
