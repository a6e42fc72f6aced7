package server

import (
	"cmp"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wsify/internal/command"
)

// metricPrefix begins the name of every metric of our own. None has a label by
// channel, address or user: the number of their values has no bound.
const metricPrefix = "wsify_"

// newRegistry returns the metrics of a server, and of Go and the process.
func newRegistry(srv *Server) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), newProcessCollector(),
		srv.sampler.asking, srv.sampler.fanout, srv.sampler.lag,
		&collector{stats: srv.Stats, metrics: append(serverMetrics(cmp.Or(srv.cfg.Version, "unknown")), brokerMetrics(srv.sampler.publishing)...)},
	)
	return r
}

// metricsHandler serves what can be had, should something be missing: the process's
// own need a descriptor for a moment.
func metricsHandler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ErrorHandling: promhttp.ContinueOnError,
	})
}

// collector makes metrics of the Stats at the time of a scrape, so that counting
// costs what it did without them.
type collector struct {
	stats   func() Stats
	metrics []metric
}

// metric is one name and what is exposed by it.
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

// counters is a counter by one label. Each of known is there from the start, so that
// a first event is seen as an increase.
func counters(name, help, label string, known []string, read func(st *Stats) map[string]uint64) metric {
	return metric{describe(name, help, label), func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		sendAll(to, desc, known, read(st))
	}}
}

// sendAll sends a counter for each of known and each further key of got. Label values
// before the last are given.
func sendAll(to chan<- prometheus.Metric, desc *prometheus.Desc, known []string, got map[string]uint64, labels ...string) {
	send := func(value string) {
		values := append(labels[:len(labels):len(labels)], value)
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(got[value]), values...)
	}
	seen := make(map[string]bool, len(known))
	for _, value := range known {
		seen[value] = true
		send(value)
	}
	for value := range got {
		if !seen[value] {
			send(value)
		}
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// receivedCommands are the values of the label command of messages received.
var receivedCommands = []string{command.Join.String(), command.Leave.String(), command.Broadcast.String(), receivedInvalid}
