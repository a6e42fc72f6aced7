package operate

import (
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"wsify/broker"
)

// column is one line of a chart on the live page. of returns its value, from the latest reading and
// the one before it; NaN when it is unknown.
type column struct {
	name string
	of   func(now, before *reading) float64
}

// columnsOf returns all columns. Labels, authorizer and broker are those of the reading, and do not
// change while the server runs. The page draws no chart for which there is no column.
func columnsOf(r *reading) []column {
	all := slices.Concat(gaugeColumns(), rateColumns(), durationColumns())
	for _, of := range []struct {
		name string
		read func(*Stats) map[string]uint64
	}{
		{"rejected", func(st *Stats) map[string]uint64 { return st.Rejected }},
		{"closed", func(st *Stats) map[string]uint64 { return st.Closed }},
		{"received", func(st *Stats) map[string]uint64 { return st.Received }},
		{"published", func(st *Stats) map[string]uint64 { return st.Broadcasts }},
		{"dropped", func(st *Stats) map[string]uint64 { return st.Dropped }},
		{"authorizer", answers},
	} {
		if of.name == "authorizer" && !r.stats.HasAuthorizer {
			continue
		}
		for _, label := range slices.Sorted(maps.Keys(of.read(&r.stats))) {
			all = append(all, rate(of.name+"."+label, func(st *Stats) uint64 { return of.read(st)[label] }))
		}
	}
	if r.stats.HasAuthorizer {
		all = append(all, authorizerColumns()...)
	}
	if r.stats.Broker != nil {
		all = append(all, engineColumns()...)
	}
	return all
}

// answers returns the calls to the authorizer by result, whatever the command.
func answers(st *Stats) map[string]uint64 {
	sum := map[string]uint64{}
	for _, results := range st.Authorizer {
		for result, n := range results {
			sum[result] += n
		}
	}
	return sum
}

// level is a column that shows a gauge.
func level(name string, read func(st *Stats) float64) column {
	return column{name, func(now, _ *reading) float64 { return read(&now.stats) }}
}

// rate is a column that shows the increase of a counter, per second.
func rate(name string, read func(st *Stats) uint64) column {
	return column{name, func(now, before *reading) float64 {
		return float64(read(&now.stats)-read(&before.stats)) / now.since(before)
	}}
}

func gaugeColumns() []column {
	return []column{
		level("connections", func(st *Stats) float64 { return float64(st.Net.Connections) }),
		level("channels", func(st *Stats) float64 { return float64(st.Channels) }),
		level("subscriptions", func(st *Stats) float64 { return float64(st.Subscriptions) }),
		level("write_queue_bytes", func(st *Stats) float64 { return float64(st.Net.QueuedBytes) }),
		level("broker_up", func(st *Stats) float64 { return boolean(st.Broker == nil || st.Broker.Up) }),
		{"resident_bytes", func(now, _ *reading) float64 { return now.resident }},
		{"heap_bytes", func(now, _ *reading) float64 { return now.heap }},
		{"cpu_cores", func(now, before *reading) float64 { return (now.cpu - before.cpu) / now.since(before) }},
	}
}

func rateColumns() []column {
	return []column{
		rate("accepted", func(st *Stats) uint64 { return st.Accepted }),
		rate("upgraded", func(st *Stats) uint64 { return st.Upgraded }),
		rate("ended", func(st *Stats) (all uint64) {
			for _, n := range st.Closed {
				all += n
			}
			return all
		}),
		rate("sent", func(st *Stats) uint64 { return st.Sent }),
		rate("bytes_received", func(st *Stats) uint64 { return st.Net.BytesReceived }),
		rate("bytes_sent", func(st *Stats) uint64 { return st.Net.BytesSent }),
	}
}

func durationColumns() []column {
	return []column{
		{"loop_lag", func(now, _ *reading) float64 { return now.lag.Seconds() }},
		{"fanout", func(now, before *reading) float64 { return mean(now.fanout, before.fanout) }},
	}
}

func authorizerColumns() []column {
	return []column{
		level("queue_depth", func(st *Stats) float64 { return float64(st.Waiting) }),
		level("authorizer_inflight", func(st *Stats) float64 { return float64(st.Asking) }),
		{"authorizer_p50", func(now, before *reading) float64 { return quantile(.5, now.asking, before.asking) }},
		{"authorizer_p99", func(now, before *reading) float64 { return quantile(.99, now.asking, before.asking) }},
	}
}

func engineColumns() []column {
	engine := func(name string, read func(b *broker.Stats) float64) column {
		return level(name, func(st *Stats) float64 { return read(st.Broker) })
	}
	return []column{
		engine("broker_queue_bytes", func(b *broker.Stats) float64 { return float64(b.WaitingBytes) }),
		engine("broker_backlog_bytes", func(b *broker.Stats) float64 { return float64(b.BacklogBytes) }),
		engine("broker_pending", func(b *broker.Stats) float64 { return float64(b.Pending) }),
		rate("broker_received", func(st *Stats) uint64 { return st.Broker.Received }),
		rate("broker_published", func(st *Stats) uint64 { return st.Broker.Publications["ok"] }),
		{"broker_p99", func(now, before *reading) float64 { return quantile(.99, now.publishing, before.publishing) }},
	}
}

// mean returns the mean of what a histogram observed between two readings.
func mean(now, before *dto.Histogram) float64 {
	n := now.GetSampleCount() - before.GetSampleCount()
	return (now.GetSampleSum() - before.GetSampleSum()) / float64(n) // NaN for 0/0
}

// quantile estimates a quantile of what a histogram observed between two readings, as Prometheus'
// histogram_quantile does: the values of a bucket are taken as evenly spread.
func quantile(q float64, now, before *dto.Histogram) float64 {
	all := now.GetSampleCount() - before.GetSampleCount()
	if all == 0 {
		return math.NaN()
	}
	rank, lower, below := q*float64(all), 0.0, 0.0
	for i, bucket := range now.GetBucket() {
		upto := float64(bucket.GetCumulativeCount() - before.GetBucket()[i].GetCumulativeCount())
		if upto >= rank {
			return lower + (bucket.GetUpperBound()-lower)*(rank-below)/(upto-below)
		}
		lower, below = bucket.GetUpperBound(), upto
	}
	return lower // in the last bucket, which has no upper bound
}
