package operate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serverMetrics returns all metrics except those of the broker.
func serverMetrics(version string) []metric {
	all := append(gauges(), connectionMetrics()...)
	all = append(all, messageMetrics()...)
	all = append(all, eventMetrics()...)
	all = append(all, historyMetrics()...)
	return append(all, authorizerRequests(), headersIgnored(), buildInfo(version))
}

func gauges() []metric {
	return []metric{
		gauge("connections", "Connections of the event loops, open now.", func(st *Stats) float64 { return float64(st.Net.Connections) }),
		gauge("channels", "Channels that have members on this node.", func(st *Stats) float64 { return float64(st.Channels) }),
		gauge("subscriptions", "Memberships of connections in channels.", func(st *Stats) float64 { return float64(st.Subscriptions) }),
		gauge("write_queue_bytes", "Memory kept by what the kernel has not taken yet, of all connections; what many wait for counts once.",
			func(st *Stats) float64 { return float64(st.Net.QueuedBytes) }),
		gauge("workers_busy", "Workers that run a call which may block.", func(st *Stats) float64 { return float64(st.WorkersBusy) }),
		gauge("queue_depth", "Calls that wait for a worker.", func(st *Stats) float64 { return float64(st.Waiting) }),
		gauge("authorizer_inflight", "Calls to the authorizer under way.", func(st *Stats) float64 { return float64(st.Asking) }),
		gauge("draining", "1 while this node is drained, or shuts down.", func(st *Stats) float64 { return boolean(st.Draining) }),
	}
}

func connectionMetrics() []metric {
	return []metric{
		counter("connections_accepted_total", "Connections accepted.", func(st *Stats) float64 { return float64(st.Accepted) }),
		counters("connections_rejected_total", "Connections refused before they were a session, by reason. Those refused with no_descriptor are not among the accepted ones.",
			"reason", func(st *Stats) map[string]uint64 { return st.Rejected }),
		counters("connections_closed_total", "Connections that have ended, by reason; http are those that were closed behind the answer to a request for a publication, or waited too long for the next.",
			"reason", func(st *Stats) map[string]uint64 { return st.Closed }),
		counters("admin_orders_total", "Kicks and revocations that this node has carried out, also those that other nodes were given.",
			"order", func(st *Stats) map[string]uint64 { return st.Orders }),
		counter("bytes_received_total", "Bytes read by the event loops.", func(st *Stats) float64 { return float64(st.Net.BytesReceived) }),
		counter("bytes_sent_total", "Bytes that the kernel took from the event loops.", func(st *Stats) float64 { return float64(st.Net.BytesSent) }),
		counter("panics_total", "Panics on an event loop that were contained; each is a defect of this program.",
			func(st *Stats) float64 { return float64(st.Net.Panics) }),
	}
}

func messageMetrics() []metric {
	return []metric{
		counters("messages_received_total", "Messages of clients, by command; invalid holds no command that could be asked about.",
			"command", func(st *Stats) map[string]uint64 { return st.Received }),
		counters("commands_refused_total", "Commands that were not carried out, by the code of the answer.",
			"code", func(st *Stats) map[string]uint64 { return st.NotDone }),
		counter("messages_sent_total", "Messages given to connections: publications once for each member, and answers.",
			func(st *Stats) float64 { return float64(st.Sent) }),
		counters("messages_dropped_total", "Messages lost, by reason: of the subscriber that was too slow, of the publication that was refused, or of the client that was over its rate.",
			"reason", func(st *Stats) map[string]uint64 { return st.Dropped }),
		counters("publications_refused_total", "Publications of backends that were refused before the broker saw them, by reason.",
			"reason", func(st *Stats) map[string]uint64 { return st.Unpublished }),
		counters("broadcasts_total", "Publications taken on this node, by source.",
			"source", func(st *Stats) map[string]uint64 { return st.Broadcasts }),
	}
}

// authorizerRequests counts calls by command and result.
func authorizerRequests() metric {
	desc := describe("authorizer_requests_total", "Questions to the authorizer, by what they were about and how they ended; cached needed no call.", "command", "result")
	return metric{desc, func(st *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		for command, results := range st.Authorizer {
			sendAll(to, desc, results, command)
		}
	}}
}

func headersIgnored() metric {
	return counters("authorizer_headers_ignored_total", "Headers of the authorizer's answers that break a rule and have no effect, by header.", "header",
		func(st *Stats) map[string]uint64 { return st.Ignored })
}

func eventMetrics() []metric {
	return []metric{
		gauge("events_waiting", "Lifecycle events that wait to be sent, and changes of channels that may become some.",
			func(st *Stats) float64 { return float64(st.EventsWaiting) }),
		counters("events_total", "Lifecycle events that -events-url has taken.", "event",
			func(st *Stats) map[string]uint64 { return st.Events }),
		counters("events_dropped_total", "Lifecycle events that were lost, by reason.", "reason",
			func(st *Stats) map[string]uint64 { return st.EventsLost }),
	}
}

func historyMetrics() []metric {
	return []metric{
		gauge("history_channels", "Channels with history that this node follows: they have members here, or joins that wait.",
			func(st *Stats) float64 { return float64(st.Followed) }),
		gauge("history_bytes", "Memory of the publications that this node keeps of these channels, besides the engine.",
			func(st *Stats) float64 { return float64(st.HistoryBytes) }),
		gauge("memory_history_bytes", "Memory of the history that the memory broker keeps of all channels.",
			func(st *Stats) float64 { return float64(st.RingBytes) }),
		counter("memory_history_lost_total", "Channels that have lost the history that the memory broker kept, to make room for others.",
			func(st *Stats) float64 { return float64(st.RingsLost) }),
		counters("recoveries_total", "Joins from a position, by result; lost means that something missed could not be given.", "result",
			func(st *Stats) map[string]uint64 { return st.Recoveries }),
		counters("history_reads_total", "Questions of this node to the engine about the past of a channel, by result.", "result",
			func(st *Stats) map[string]uint64 { return st.HistoryReads }),
		counter("history_gaps_total", "Times that something published to a channel could not be given to its members on this node.",
			func(st *Stats) float64 { return float64(st.HistoryGaps) }),
		counter("history_doubles_total", "Publications that came from the engine again and were not delivered twice.",
			func(st *Stats) float64 { return float64(st.HistoryDoubles) }),
	}
}

func logMetric(dropped func() uint64) metric {
	return counter("log_lines_dropped_total", "Lines of the log that were dropped, as stderr was not read fast enough or could not be written to.",
		func(*Stats) float64 { return float64(dropped()) })
}

func refusedMetric(refused func() map[string]uint64) metric {
	return counters("admin_requests_refused_total", "Requests to the admin listener that were refused, by reason.", "reason",
		func(*Stats) map[string]uint64 { return refused() })
}

func buildInfo(version string) metric {
	desc := describe("build_info", "Always 1; the version of this program.", "version")
	return metric{desc, func(_ *Stats, desc *prometheus.Desc, to chan<- prometheus.Metric) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, version)
	}}
}

// hungMetric shows what loop_lag_seconds cannot: a loop that hangs has not been measured yet.
func (s *Sampler) hungMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + "loop_unanswered_seconds",
		Help: "For how long an event loop has not answered; 0 when all have. They are asked once a second.",
	}, func() float64 { return time.Duration(s.hung.Load()).Seconds() })
}
