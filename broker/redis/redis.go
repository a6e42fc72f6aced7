package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// Driver makes brokers whose engine is Redis.
var Driver = broker.Driver{
	Name: "redis",
	Open: func(cfg broker.Config) (broker.Broker, error) {
		e, err := newEngine(cfg)
		if err != nil {
			return nil, err
		}
		return broker.NewRemote(cfg, e), nil
	},
	Check: func(cfg broker.Config) broker.Problems {
		_, err := checkDSN(cfg.DSN)
		return broker.Problems{DSN: err}
	},
	Examine: examine,
}

func newEngine(cfg broker.Config) (*engine, error) {
	o, err := checkDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	cfg = cfg.Filled()
	if len(o.unused) > 0 {
		cfg.Logger.Warn("the broker's DSN has options that have no effect", "options", strings.Join(slices.Compact(o.unused), ","))
	}
	return &engine{o: o, addrs: o.addrs, limit: broker.MaxHead + cfg.MaxContent + 1, keep: newKeeper(cfg.History, o.durable), log: cfg.Logger}, nil
}

// engine opens links to Redis.
type engine struct {
	o     *options
	limit int     // the most bytes of a content that are kept
	keep  *keeper // nil without history
	log   *slog.Logger
	told  bool     // that the server may lose something although the DSN says durable; for Open only
	addrs []string // of the DSN, and of known masters of a cluster, since those of the DSN may be unreachable; for Open only
}

var _ broker.Engine = (*engine)(nil)

// String returns the addresses of the engine, for logs.
func (e *engine) String() string { return "redis at " + strings.Join(e.o.addrs, ", ") }

// Open tries each address in turn (with sentinels, those of the masters that they name), and opens
// the kind of link that it finds there.
func (e *engine) Open(ctx context.Context, to broker.Sink) (_ broker.Link, maxContent int, err error) {
	tlsConfig, err := e.o.tlsConfig() // read each time, because certificates are renewed
	if err != nil {
		return nil, 0, err
	}
	d := &dialer{o: e.o, tls: tlsConfig, timeout: e.o.timeout, limit: e.limit, keep: e.keep, log: e.log}
	addrs := e.addrs
	if e.o.masterSet != "" {
		if addrs, _, err = d.askSentinels(ctx); err != nil {
			return nil, 0, err
		}
	}
	var failed []error
	for i, addr := range addrs {
		share, cancel := shareOf(ctx, len(addrs)-i)
		l, most, err := e.openAt(share, to, d, addr)
		cancel()
		if err == nil {
			return l, most, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil { // the next call begins with the addresses that were not tried
			e.addrs = slices.Concat(addrs[i+1:], addrs[:i+1])
			break
		}
	}
	return nil, 0, errors.Join(failed...)
}

// shareOf divides the time of ctx among attempts, so that an address that does not answer leaves
// time for the others. A share is never less than one attempt may take, or all attempts at a large
// cluster would fail.
func shareOf(ctx context.Context, attempts int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || attempts <= 1 {
		return context.WithCancel(ctx)
	}
	return link.Within(ctx, max(time.Until(deadline)/time.Duration(attempts), nodeTimeout))
}

// leastBulk is the smallest proto-max-bulk-len of a server.
const leastBulk = 1 << 20

// askMost asks for the largest content that a server takes, if that can be too small: the server
// disconnects a client that sends more. If the user may not ask, it is assumed to be enough.
func (e *engine) askMost(ctx context.Context, c *conn) (most int, err error) {
	if e.limit <= leastBulk {
		return 0, nil
	}
	r, err := c.call(ctx, "CONFIG", "GET", "proto-max-bulk-len")
	if _, refused := errors.AsType[respError](err); refused {
		return 0, nil
	}
	most, _ = strconv.Atoi(r.pairs()["proto-max-bulk-len"])
	return most, err
}

// openAt opens the kind of link that the server at addr needs.
func (e *engine) openAt(ctx context.Context, to broker.Sink, d *dialer, addr string) (l broker.Link, most int, err error) {
	c, server, err := d.login(ctx, addr, nil)
	if err != nil {
		return nil, 0, err
	}
	defer c.close()
	if most, err = e.askMost(ctx, c); err != nil {
		return nil, 0, err
	}
	var masters []string
	switch {
	case server["mode"] == "sentinel":
		err = fmt.Errorf("redis at %s is a sentinel: the DSN needs master_set, the name of the master", addr)
	case server["mode"] == "cluster":
		if e.o.durable {
			return nil, 0, fmt.Errorf("redis at %s is part of a cluster: durable=true of the DSN is for a single server, because a failover may lose what was acknowledged", addr)
		}
		l, masters, err = openCluster(ctx, to, d, c)
	case server.replica(): // it passes publications only to its own subscribers
		err = fmt.Errorf("redis at %s is a replica: the DSN must lead to the master", addr)
	default:
		e.doubt(ctx, c)
		l, err = openSingle(ctx, to, d, addr)
	}
	if err != nil {
		return nil, 0, err
	}
	masters = slices.DeleteFunc(masters, func(addr string) bool { return slices.Contains(e.o.addrs, addr) })
	e.addrs = slices.Concat(e.o.addrs, masters)
	return l, most, nil
}
