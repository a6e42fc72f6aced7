package operate

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// histograms returns the histograms of a scrape by name, without the prefix.
func histograms(t *testing.T, a *Admin) map[string]*dto.Histogram {
	t.Helper()
	families, err := a.cfg.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.Histogram{}
	for _, f := range families {
		if name, ours := strings.CutPrefix(f.GetName(), metricPrefix); ours && f.GetType() == dto.MetricType_HISTOGRAM {
			all[name] = f.GetMetric()[0].GetHistogram()
		}
	}
	return all
}

func TestEveryHistogramIsClassicAndNative(t *testing.T) {
	source := &testSource{stats: zeros()}
	source.stats.Broker = engine()
	a := newTestAdmin(source)
	a.sampler.Asked(time.Millisecond)
	a.sampler.Lagged(time.Millisecond)
	a.sampler.Published(time.Millisecond)
	a.sampler.Delivered(1)
	all := histograms(t, a)
	if len(all) != 4 {
		t.Errorf("%d histograms, want 4", len(all))
	}
	for name, h := range all {
		if len(h.GetBucket()) < 10 {
			t.Errorf("%s has %d classic buckets", name, len(h.GetBucket()))
		}
		if h.Schema == nil || len(h.GetPositiveSpan()) != 1 || h.GetPositiveDelta()[0] != 1 {
			t.Errorf("%s is not native: %v", name, h)
		}
	}
}

// TestANativeHistogramIsBounded: values that differ by ten orders of magnitude need more buckets of
// the first width than there may be.
func TestANativeHistogramIsBounded(t *testing.T) {
	a := newTestAdmin(&testSource{stats: zeros()})
	for took := time.Nanosecond; took < time.Hour; took += took/20 + 1 {
		a.sampler.Asked(took)
	}
	if n := len(histograms(t, a)["authorizer_duration_seconds"].GetPositiveDelta()); n == 0 || n > 100 {
		t.Errorf("%d buckets, want at most 100", n)
	}
}

// TestPrometheusGetsNativeHistograms if it asks for the format that has them.
func TestPrometheusGetsNativeHistograms(t *testing.T) {
	a := newTestAdmin(&testSource{stats: zeros()})
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.5")
	a.handler().ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/vnd.google.protobuf") || w.Body.Len() == 0 {
		t.Errorf("GET /metrics: %s, %d bytes", got, w.Body.Len())
	}
}
