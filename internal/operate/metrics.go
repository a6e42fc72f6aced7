package operate

import (
	"cmp"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricPrefix begins the name of each metric of wsify. None has a label by channel, address or
// user, because the number of their values has no bound.
const metricPrefix = "wsify_"

// NewRegistry returns the metrics of the server, and of Go and the process. dropped returns how many
// lines the log has lost; nil when it loses none.
func NewRegistry(version string, dropped func() uint64, source Source, sampler *Sampler) *prometheus.Registry {
	metrics := append(serverMetrics(cmp.Or(version, "unknown")), brokerMetrics(sampler.publishing)...)
	if dropped == nil {
		dropped = func() uint64 { return 0 }
	}
	metrics = append(metrics, logMetric(dropped))
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), newProcessCollector(), sampler.asking, sampler.fanout, sampler.lag, sampler.hungMetric(),
		&collector{stats: source.Stats, metrics: metrics},
	)
	return r
}

// metricsHandler serves the metrics that are available. Some may be missing: those of the process
// need a descriptor for a moment.
func metricsHandler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ErrorHandling: promhttp.ContinueOnError,
	})
}

// collector makes metrics from the Stats at each scrape, so that counting costs nothing extra.
type collector struct {
	stats   func() Stats
	metrics []metric
}

// metric is a name and the values exposed under it.
type metric struct {
	desc *prometheus.Desc
	make func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	st := c.stats()
	for _, m := range c.metrics {
		m.make(&st, m.desc, to)
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

func single(kind prometheus.ValueType, name, help string, read func(st *Stats) float64) metric {
	return metric{describe(name, help), func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		to <- prometheus.MustNewConstMetric(desc, kind, read(st))
	}}
}

func gauge(name, help string, read func(st *Stats) float64) metric {
	return single(prometheus.GaugeValue, name, help, read)
}

func counter(name, help string, read func(st *Stats) float64) metric {
	return single(prometheus.CounterValue, name, help, read)
}

// counters is a counter with one label. Stats have all its values from the start, so that a first
// event shows as an increase.
func counters(name, help, label string, read func(st *Stats) map[string]uint64) metric {
	return metric{describe(name, help, label), func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		sendAll(to, desc, read(st))
	}}
}

// sendAll sends a counter for each key of got, which is the last label; labels are those before it.
func sendAll(to chan<- prometheus.Metric, desc *prometheus.Desc, got map[string]uint64, labels ...string) {
	for value, n := range got {
		values := append(labels[:len(labels):len(labels)], value)
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), values...)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
