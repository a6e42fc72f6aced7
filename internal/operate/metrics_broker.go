package operate

import (
	"github.com/prometheus/client_golang/prometheus"

	"wsify/broker"
)

// brokerMetrics returns the metrics of a broker with an engine. A broker without one has only
// broker_up.
func brokerMetrics(publishing prometheus.Histogram) []metric {
	return []metric{
		gauge("broker_up", "1 while publications reach the other nodes and theirs reach this one; always 1 without a broker's engine.",
			func(st *Stats) float64 { return boolean(st.Broker == nil || st.Broker.Up) }),
		ofEngine(prometheus.GaugeValue, "broker_subscriptions", "Channels subscribed to at the engine, or to be.",
			func(b *broker.Stats) float64 { return float64(b.Subscriptions) }),
		ofEngine(prometheus.GaugeValue, "broker_subscriptions_pending", "Of those, how many the engine has not confirmed.",
			func(b *broker.Stats) float64 { return float64(b.Pending) }),
		ofEngine(prometheus.GaugeValue, "broker_publish_queue_length", "Publications that wait for the engine.",
			func(b *broker.Stats) float64 { return float64(b.Waiting) }),
		ofEngine(prometheus.GaugeValue, "broker_publish_queue_bytes", "The size of publications that wait for the engine.",
			func(b *broker.Stats) float64 { return float64(b.WaitingBytes) }),
		ofEngine(prometheus.GaugeValue, "broker_backlog_bytes", "The size of publications that were received and wait for room in their channel.",
			func(b *broker.Stats) float64 { return float64(b.BacklogBytes) }),
		byEngine("broker_publications_total", "Publications given to the engine, by result.", "result",
			func(b *broker.Stats) map[string]uint64 { return b.Publications }),
		publishDuration(publishing),
		ofEngine(prometheus.CounterValue, "broker_received_total", "Publications that the engine sent.",
			func(b *broker.Stats) float64 { return float64(b.Received) }),
		byEngine("broker_received_dropped_total", "Of those, how many were not delivered, by reason.", "reason",
			func(b *broker.Stats) map[string]uint64 { return b.Dropped }),
		ofEngine(prometheus.CounterValue, "broker_connects_total", "Links to the engine that were opened.",
			func(b *broker.Stats) float64 { return float64(b.Connects) }),
		ofEngine(prometheus.CounterValue, "broker_connect_failures_total", "Attempts to open a link to the engine that failed.",
			func(b *broker.Stats) float64 { return float64(b.FailedConnects) }),
		ofEngine(prometheus.CounterValue, "broker_subscription_ends_total", "Subscriptions that the engine refused or ended.",
			func(b *broker.Stats) float64 { return float64(b.SubscriptionEnds) }),
	}
}

// ofEngine is a single value, which is missing when the broker has no engine.
func ofEngine(kind prometheus.ValueType, name, help string, read func(b *broker.Stats) float64) metric {
	return metric{describe(name, help), func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		if st.Broker != nil {
			to <- prometheus.MustNewConstMetric(desc, kind, read(st.Broker))
		}
	}}
}

// byEngine is a counter with one label. The broker's Stats have all its values, even if zero.
func byEngine(name, help, label string, read func(b *broker.Stats) map[string]uint64) metric {
	return metric{describe(name, help, label), func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		if st.Broker != nil {
			sendAll(to, desc, read(st.Broker))
		}
	}}
}

// publishDuration is the sampler's histogram, for every broker.
func publishDuration(h prometheus.Histogram) metric {
	return metric{h.Desc(), func(st *Stats, _ *prometheus.Desc, to chan<- prometheus.Metric) {
		if st.Broker != nil {
			to <- h
		}
	}}
}
