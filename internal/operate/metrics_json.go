package operate

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// statsHandler serves the metrics as one JSON object: each name has a number, or an object by the
// values of its labels.
func statsHandler(r *prometheus.Registry) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		families, err := r.Gather() // with an error, it returns those that are available
		if len(families) == 0 && err != nil {
			say(w, http.StatusInternalServerError, err.Error()+"\n")
			return
		}
		p, err := json.MarshalIndent(statsOf(families), "", "  ")
		if err != nil {
			say(w, http.StatusInternalServerError, err.Error()+"\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(p, '\n'))
	})
}

func statsOf(families []*dto.MetricFamily) map[string]any {
	all := make(map[string]any, len(families))
	for _, f := range families {
		for _, m := range f.GetMetric() {
			path := []string{f.GetName()}
			for _, label := range m.GetLabel() {
				path = append(path, label.GetValue())
			}
			put(all, path, valueOf(m))
		}
	}
	return all
}

// put sets value at the end of path, and makes the objects on the way.
func put(in map[string]any, path []string, value any) {
	if len(path) == 1 {
		in[path[0]] = value
		return
	}
	next, ok := in[path[0]].(map[string]any)
	if !ok {
		next = map[string]any{}
		in[path[0]] = next
	}
	put(next, path[1:], value)
}

func valueOf(m *dto.Metric) any {
	switch {
	case m.GetGauge() != nil:
		return jsonNumber(m.GetGauge().GetValue())
	case m.GetCounter() != nil:
		return jsonNumber(m.GetCounter().GetValue())
	case m.GetHistogram() != nil:
		h, buckets := m.GetHistogram(), map[string]any{}
		for _, b := range h.GetBucket() {
			buckets[decimal(b.GetUpperBound())] = b.GetCumulativeCount()
		}
		return map[string]any{"count": h.GetSampleCount(), "sum": jsonNumber(h.GetSampleSum()), "buckets": buckets}
	case m.GetSummary() != nil:
		s, quantiles := m.GetSummary(), map[string]any{}
		for _, q := range s.GetQuantile() {
			quantiles[decimal(q.GetQuantile())] = jsonNumber(q.GetValue())
		}
		return map[string]any{"count": s.GetSampleCount(), "sum": jsonNumber(s.GetSampleSum()), "quantiles": quantiles}
	}
	return jsonNumber(m.GetUntyped().GetValue())
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// jsonNumber returns v without an exponent if it is a whole number, or null for a value that JSON
// cannot express.
func jsonNumber(v float64) any {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return nil
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return int64(v)
	}
	return v
}
