package nats

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"

	"wsify/broker"
)

// monitorPort is where a NATS server has its monitoring, by convention. A server tells its
// clients nothing of max_pending.
const monitorPort = "8222"

// examine is the Examine of Driver.
func examine(ctx context.Context, cfg broker.Config) (broker.Examination, error) {
	return examineAt(ctx, cfg, monitorPort)
}

func examineAt(ctx context.Context, cfg broker.Config, port string) (broker.Examination, error) {
	e, err := newEngine(cfg)
	if err != nil {
		return broker.Examination{}, err
	}
	x, err := broker.Examine(ctx, cfg, e, func(ctx context.Context, l broker.Link, x *broker.Examination) {
		nc := l.(*serverLink).nc
		s := broker.Server{Addr: nc.ConnectedAddr(), Version: nc.ConnectedServerVersion()}
		if most, ok := askMaxPending(ctx, nc, port); ok {
			s.Waiting = &broker.Waiting{Hard: most}
		}
		x.Servers = []broker.Server{s}
	})
	if err != nil {
		return broker.WithoutHistory(cfg, err, func(cfg broker.Config) (broker.Examination, error) { return examineAt(ctx, cfg, port) })
	}
	return x, nil
}

// askMaxPending asks the monitoring of the server that nc is connected to, if it has one on
// that port.
func askMaxPending(ctx context.Context, nc *nats.Conn, port string) (most int, ok bool) {
	host, _, err := net.SplitHostPort(nc.ConnectedAddr())
	if err != nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	at := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/varz"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return 0, false
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	var varz struct {
		ServerID   string `json:"server_id"`
		MaxPending int    `json:"max_pending"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&varz)
	return varz.MaxPending, err == nil && varz.ServerID == nc.ConnectedServerId() && varz.MaxPending > 0
}
