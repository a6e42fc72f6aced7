package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

const (
	sendTimeout = 10 * time.Second // for one export; OTLP's default
	maxAnswer   = 64 << 10         // bytes of an answer that are read
)

// sender sends metrics to a collector. An export that fails is counted, logged and not repeated:
// the next one has the same counters, which only grow.
type sender struct {
	url     string
	headers http.Header
	client  *http.Client
	exports *prometheus.CounterVec
	log     *slog.Logger
}

var _ metric.Exporter = (*sender)(nil)

func newSender(url string, headers http.Header, log *slog.Logger) *sender {
	s := &sender{url: url, headers: headers, log: log, exports: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wsify_otlp_exports_total", Help: "Exports of metrics to the OpenTelemetry collector, by result.",
	}, []string{"result"})}
	s.client = &http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would get the credentials
	}
	s.exports.WithLabelValues("ok")
	s.exports.WithLabelValues("failed")
	return s
}

// headersFromEnv returns the headers for requests to the collector; OTLP specification, "Specifying
// headers via environment variables". Errors do not have values, which are secrets.
func headersFromEnv() (http.Header, error) {
	headers := http.Header{}
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"} {
		for pair := range strings.SplitSeq(os.Getenv(variable), ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, ok := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
				return nil, fmt.Errorf("%s: it has to be name=value,name=value, with values percent-encoded", variable)
			}
			headers.Set(name, value)
		}
	}
	return headers, nil
}

// Export implements metric.Exporter. It returns no error, because it has handled it.
func (s *sender) Export(ctx context.Context, all *metricdata.ResourceMetrics) error {
	if err := s.send(ctx, all); errors.Is(err, context.Canceled) {
		return nil // Stop has cut it off, and sends once more
	} else if err != nil {
		s.exports.WithLabelValues("failed").Inc()
		s.log.Warn("the metrics could not be sent to -otlp-endpoint", "err", err)
		return nil
	}
	s.exports.WithLabelValues("ok").Inc()
	return nil
}

func (s *sender) send(ctx context.Context, all *metricdata.ResourceMetrics) error {
	body, err := proto.Marshal(encode(all))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = s.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode != http.StatusOK {
		return errors.New("the collector answers " + answer.Status)
	}
	if err != nil {
		return err
	}
	return rejected(text)
}

// rejected returns the error of an answer that says that some metrics were not taken.
func rejected(text []byte) error {
	var got collector.ExportMetricsServiceResponse
	if err := proto.Unmarshal(text, &got); err != nil {
		return nil // it may be JSON, or text of a proxy; the status is 200
	}
	if n := got.GetPartialSuccess().GetRejectedDataPoints(); n > 0 {
		return fmt.Errorf("the collector rejects %d values: %.200q", n, got.GetPartialSuccess().GetErrorMessage())
	}
	return nil
}

// Temporality implements metric.Exporter.
func (s *sender) Temporality(kind metric.InstrumentKind) metricdata.Temporality {
	return metric.DefaultTemporalitySelector(kind)
}

// Aggregation implements metric.Exporter.
func (s *sender) Aggregation(kind metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(kind)
}

// ForceFlush implements metric.Exporter. Nothing is kept.
func (s *sender) ForceFlush(context.Context) error { return nil }

// Shutdown implements metric.Exporter.
func (s *sender) Shutdown(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}
