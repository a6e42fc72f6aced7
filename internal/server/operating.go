package server

import (
	"fmt"
	"log/slog"
	"net"
	"os"

	"wsify/internal/logs"
	"wsify/internal/operate"
	"wsify/internal/otlp"
)

// openOperating opens the admin listener and begins to export metrics, as far as they are
// configured. Without either, nothing is sampled.
func (srv *Server) openOperating(sampler *operate.Sampler) (err error) {
	c := &srv.cfg
	if c.AdminAddr == "" && c.OTLPEndpoint == "" {
		return nil
	}
	srv.sampler = sampler
	metrics := operate.NewRegistry(c.Version, c.LogDropped, source{srv}, sampler)
	if c.AdminAddr == "" {
		sampler.Start(source{srv}, nil)
	} else if srv.admin, err = operate.Open(operate.Config{
		Addr: c.AdminAddr, Mode: c.ListenMode, MaxConnections: srv.maxAdmin, Version: c.Version, Metrics: metrics, Logger: srv.log,
		Faults: slog.New(logs.Seldom(srv.log.Handler())), Key: c.AdminKey, Control: control{srv},
	}, source{srv}, sampler); err != nil {
		return err
	}
	if c.OTLPEndpoint == "" {
		return nil
	}
	srv.export, err = otlp.Start(otlp.Config{
		Endpoint: c.OTLPEndpoint, Version: c.Version, Instance: instance(srv.addrs[0]), Metrics: metrics, Logger: slog.New(logs.Seldom(srv.log.Handler())),
	})
	if err != nil {
		return fmt.Errorf("-otlp-endpoint: %w", err)
	}
	return nil
}

// instance names this node to a collector: no other process on any machine has the same name at the
// same time, and the next process in its place has it again.
func instance(listening net.Addr) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if _, port, err := net.SplitHostPort(listening.String()); err == nil {
		return net.JoinHostPort(host, port)
	}
	return host + ":" + listening.String() // the path of a unix socket
}

// closeOperating ends what openOperating began. The last export has the final counters.
func (srv *Server) closeOperating() {
	srv.export.Stop()
	srv.admin.Stop()
	if srv.sampler != nil {
		srv.sampler.Stop()
	}
}
