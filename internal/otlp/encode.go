package otlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
)

// cumulative: each value counts from the start of the server.
const cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE

// encode returns the request for what the SDK has collected.
func encode(all *metricdata.ResourceMetrics) *collector.ExportMetricsServiceRequest {
	r := &metrics.ResourceMetrics{
		Resource: &resource.Resource{Attributes: encodeAttributes(*all.Resource.Set())}, SchemaUrl: all.Resource.SchemaURL(),
	}
	for _, scope := range all.ScopeMetrics {
		s := &metrics.ScopeMetrics{Scope: &common.InstrumentationScope{Name: scope.Scope.Name, Version: scope.Scope.Version}}
		for _, m := range scope.Metrics {
			if encoded := encodeMetric(m); encoded != nil {
				s.Metrics = append(s.Metrics, encoded)
			}
		}
		r.ScopeMetrics = append(r.ScopeMetrics, s)
	}
	return &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{r}}
}

// encodeMetric returns nil for a kind that the bridge does not make.
func encodeMetric(m metricdata.Metrics) *metrics.Metric {
	to := &metrics.Metric{Name: m.Name, Description: m.Description, Unit: m.Unit}
	switch data := m.Data.(type) {
	case metricdata.Gauge[float64]:
		to.Data = &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: encodeEach(data.DataPoints, encodeNumber)}}
	case metricdata.Sum[float64]:
		to.Data = &metrics.Metric_Sum{Sum: &metrics.Sum{
			DataPoints: encodeEach(data.DataPoints, encodeNumber), IsMonotonic: data.IsMonotonic, AggregationTemporality: cumulative,
		}}
	case metricdata.Histogram[float64]:
		to.Data = &metrics.Metric_Histogram{Histogram: &metrics.Histogram{
			DataPoints: encodeEach(data.DataPoints, encodeHistogram), AggregationTemporality: cumulative,
		}}
	case metricdata.ExponentialHistogram[float64]:
		to.Data = &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{
			DataPoints: encodeEach(data.DataPoints, encodeExponential), AggregationTemporality: cumulative,
		}}
	case metricdata.Summary:
		to.Data = &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: encodeEach(data.DataPoints, encodeSummary)}}
	default:
		return nil
	}
	return to
}

func encodeEach[From, To any](from []From, encode func(From) *To) []*To {
	to := make([]*To, len(from))
	for i, p := range from {
		to[i] = encode(p)
	}
	return to
}

func encodeNumber(p metricdata.DataPoint[float64]) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{
		Attributes: encodeAttributes(p.Attributes), StartTimeUnixNano: nanoseconds(p.StartTime), TimeUnixNano: nanoseconds(p.Time),
		Value: &metrics.NumberDataPoint_AsDouble{AsDouble: p.Value},
	}
}

func encodeHistogram(p metricdata.HistogramDataPoint[float64]) *metrics.HistogramDataPoint {
	return &metrics.HistogramDataPoint{
		Attributes: encodeAttributes(p.Attributes), StartTimeUnixNano: nanoseconds(p.StartTime), TimeUnixNano: nanoseconds(p.Time),
		Count: p.Count, Sum: &p.Sum, ExplicitBounds: p.Bounds, BucketCounts: p.BucketCounts,
	}
}

func encodeExponential(p metricdata.ExponentialHistogramDataPoint[float64]) *metrics.ExponentialHistogramDataPoint {
	buckets := func(b metricdata.ExponentialBucket) *metrics.ExponentialHistogramDataPoint_Buckets {
		return &metrics.ExponentialHistogramDataPoint_Buckets{Offset: b.Offset, BucketCounts: b.Counts}
	}
	return &metrics.ExponentialHistogramDataPoint{
		Attributes: encodeAttributes(p.Attributes), StartTimeUnixNano: nanoseconds(p.StartTime), TimeUnixNano: nanoseconds(p.Time),
		Count: p.Count, Sum: &p.Sum, Scale: p.Scale, ZeroCount: p.ZeroCount, ZeroThreshold: p.ZeroThreshold,
		Positive: buckets(p.PositiveBucket), Negative: buckets(p.NegativeBucket),
	}
}

func encodeSummary(p metricdata.SummaryDataPoint) *metrics.SummaryDataPoint {
	return &metrics.SummaryDataPoint{
		Attributes: encodeAttributes(p.Attributes), StartTimeUnixNano: nanoseconds(p.StartTime), TimeUnixNano: nanoseconds(p.Time),
		Count: p.Count, Sum: p.Sum,
		QuantileValues: encodeEach(p.QuantileValues, func(q metricdata.QuantileValue) *metrics.SummaryDataPoint_ValueAtQuantile {
			return &metrics.SummaryDataPoint_ValueAtQuantile{Quantile: q.Quantile, Value: q.Value}
		}),
	}
}

// encodeAttributes encodes every value as text: those of Prometheus' labels are, and so are those
// of the resource.
func encodeAttributes(set attribute.Set) (all []*common.KeyValue) {
	for _, a := range set.ToSlice() {
		all = append(all, &common.KeyValue{
			Key: string(a.Key), Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: a.Value.String()}},
		})
	}
	return all
}

// nanoseconds returns 0, which means unknown, for no time.
func nanoseconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}
