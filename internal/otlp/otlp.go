// Package otlp sends the metrics of a registry to an OpenTelemetry collector, once a minute, as OTLP
// over HTTP. OpenTelemetry's own bridge converts them: native histograms become exponential ones.
//
// The bridge and the SDK collect; encoding and sending are ours, because OpenTelemetry's exporter
// brings gRPC with it, also for HTTP: 8.5 MB of binary instead of 1.
//
// Variables of OpenTelemetry have an effect: OTEL_EXPORTER_OTLP_HEADERS (credentials),
// OTEL_METRIC_EXPORT_INTERVAL, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// flushTimeout bounds the last export, when the server stops.
const flushTimeout = time.Second

// defaultPath is where collectors take metrics; OTLP specification, "OTLP/HTTP request".
const defaultPath = "/v1/metrics"

// Config is the configuration of an Exporter.
type Config struct {
	Endpoint string // of the collector; see CheckEndpoint
	Version  string // of this program
	Instance string // tells this node from others
	// Metrics is what is sent. Start adds the counter of exports to it.
	Metrics *prometheus.Registry
	Logger  *slog.Logger // limits how often a message repeats
}

// Exporter sends metrics until Stop. A nil Exporter does nothing.
type Exporter struct {
	provider *metric.MeterProvider
	flush    time.Duration // how long the last export may take
}

// CheckEndpoint returns what is wrong with the URL of a collector. Without a path it means
// /v1/metrics.
func CheckEndpoint(endpoint string) error {
	_, err := parse(endpoint)
	return err
}

func parse(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL") // the cause would repeat what may be a secret
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it has to begin with http:// or https:// and a host, as in http://localhost:4318/v1/metrics")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it may have a host and a path only; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return u, nil
}

// Start begins to export. It does not wait for the collector.
func Start(cfg Config) (*Exporter, error) {
	u, err := parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	headers, err := headersFromEnv()
	if err != nil {
		return nil, err
	}
	// The SDK writes to stderr otherwise, in a form of its own, and may block there.
	otel.SetLogger(logr.FromSlogHandler(cfg.Logger.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Logger.Warn("OpenTelemetry reports an error", "err", err) }))
	origin, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "wsify"), attribute.String("service.version", cfg.Version), attribute.String("service.instance.id", cfg.Instance),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	out := newSender(u.String(), headers, cfg.Logger)
	cfg.Metrics.MustRegister(out.exports)
	reader := metric.NewPeriodicReader(out, metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(cfg.Metrics))))
	return &Exporter{metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(origin)), flushTimeout}, nil
}

// Stop sends the metrics once more and ends the export. It takes a second at most.
func (e *Exporter) Stop() {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.flush)
	defer cancel()
	_ = e.provider.Shutdown(ctx) // sender has logged it
}
