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
	return &engine{o: o, addrs: o.addrs, limit: cfg.MaxContent + 1, log: cfg.Logger}, nil
}

// engine opens links to Redis.
type engine struct {
	o     *options
	limit int // bytes of a content that are kept
	log   *slog.Logger
	addrs []string // of the DSN, and of masters of a cluster: its own may be unreachable; for Open only
}

var _ broker.Engine = (*engine)(nil)

// String returns where the engine is, for logs.
func (e *engine) String() string { return "redis at " + strings.Join(e.o.addrs, ", ") }

// Open tries each address in turn, of sentinels those that they name, and opens the kind
// of link that it finds there.
func (e *engine) Open(ctx context.Context, to broker.Sink) (_ broker.Link, maxContent int, err error) {
	tlsConfig, err := e.o.tlsConfig() // anew each time: certificates are renewed
	if err != nil {
		return nil, 0, err
	}
	d := &dialer{o: e.o, tls: tlsConfig, timeout: e.o.timeout, limit: e.limit, log: e.log}
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
		if ctx.Err() != nil { // those that had no turn are first the next time
			e.addrs = slices.Concat(addrs[i+1:], addrs[:i+1])
			break
		}
	}
	return nil, 0, errors.Join(failed...)
}

// shareOf leaves so many attempts the same time each, so that an address that
// swallows everything does not take that of the others. It is never less than it may
// take to reach one: of a large cluster all would fail.
func shareOf(ctx context.Context, attempts int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || attempts <= 1 {
		return context.WithCancel(ctx)
	}
	return link.Within(ctx, max(time.Until(deadline)/time.Duration(attempts), nodeTimeout))
}

// leastBulk is the least that a server can be told to take.
const leastBulk = 1 << 20

// askMost asks a server what it takes, where that can be too little: it ends the
// connection of a client that sends more. A user that may not ask has to believe that it is enough.
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
		l, masters, err = openCluster(ctx, to, d, c)
	case server.replica(): // what is published there reaches none but its own subscribers
		err = fmt.Errorf("redis at %s is a replica: the DSN must lead to the master", addr)
	default:
		l, err = openSingle(ctx, to, d, addr)
	}
	if err != nil {
		return nil, 0, err
	}
	masters = slices.DeleteFunc(masters, func(addr string) bool { return slices.Contains(e.o.addrs, addr) })
	e.addrs = slices.Concat(e.o.addrs, masters)
	return l, most, nil
}
