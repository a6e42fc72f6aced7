package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/internal/link"
	"wsify/internal/lastread"
)

// Driver makes brokers whose engine is NATS.
var Driver = broker.Driver{
	Name: "nats",
	Open: func(cfg broker.Config) (broker.Broker, error) {
		e, err := newEngine(cfg)
		if err != nil {
			return nil, err
		}
		return broker.NewRemote(cfg, e), nil
	},
	Check:   check,
	Examine: examine,
}

// check implements Driver.Check.
func check(cfg broker.Config) broker.Problems {
	_, err := readDSN(cfg.DSN)
	p := broker.Problems{DSN: err, Prefix: checkPrefix(cfg.Prefix)}
	if cfg.History != nil {
		p.Prefix = cmp.Or(p.Prefix, checkHistory(cfg.Prefix))
	}
	if most := maxChannel(cfg.Prefix); cfg.MaxChannel > most {
		p.MaxChannel = fmt.Errorf("with NATS and this prefix a name may have %d bytes, for a subject that fits in a line of its protocol", most)
	}
	return p
}

func newEngine(cfg broker.Config) (*engine, error) {
	d, err := readDSN(cfg.DSN)
	if err := cmp.Or(err, checkPrefix(cfg.Prefix)); err != nil {
		return nil, err
	}
	if cfg.History != nil && checkHistory(cfg.Prefix) != nil {
		return nil, checkHistory(cfg.Prefix)
	}
	cfg = cfg.Filled()
	return &engine{dsn: d, plan: newPlan(cfg, d), log: cfg.Logger, largest: cfg.MaxContent}, nil
}

// engine opens links to NATS servers. It has one at a time.
type engine struct {
	dsn     *address
	plan    *plan // nil without history
	log     *slog.Logger
	largest int      // the largest content
	told    []string // servers that the last one named; for Open and a link's Close
}

// String returns the addresses of the engine, for logs.
func (e *engine) String() string { return "nats at " + e.dsn.String() }

// Open connects to one of the servers, in random order. They include servers that the last one
// named, because those of the DSN may be unreachable. It reads the files of the DSN each time, so
// that they can be replaced.
func (e *engine) Open(ctx context.Context, to broker.Sink) (_ broker.Link, maxContent int, err error) {
	opts, err := e.dsn.options()
	if err != nil {
		return nil, 0, err
	}
	opts.Servers = slices.Concat(opts.Servers, e.told)
	l := &serverLink{engine: e, to: to, in: newIntake(), ended: make(chan struct{}), subs: map[string]*nats.Subscription{}, refused: map[string]error{}}
	l.handlers(&opts)
	dialing := &dialer{ctx: ctx, link: l, timeout: opts.Timeout}
	opts.CustomDialer, opts.SkipHostLookup = dialing, true
	defer context.AfterFunc(ctx, l.cut)()
	nc, err := opts.Connect()
	if errors.Is(err, nats.ErrNoServers) { // nats.go's error for a refused connection
		err = cmp.Or(dialing.err, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("NATS at %s: %w", e.dsn, e.dsn.secrets.Err(link.WithoutAddresses(err)))
	}
	e.welcome(nc)
	l.nc = nc
	if err := l.openHistory(ctx); err != nil {
		nc.Close()
		<-l.ended
		return nil, 0, fmt.Errorf("NATS at %s: %w", e.dsn, e.dsn.secrets.Err(err))
	}
	l.running.Go(func() { l.in.run(to) })
	return l, int(nc.MaxPayload()), nil
}

// welcome logs which server it is, and a limit below the largest content.
func (e *engine) welcome(nc *nats.Conn) {
	e.log.Info("connected to a NATS server", "server", nc.ConnectedServerName(), "address", nc.ConnectedAddr(), "cluster", nc.ConnectedClusterName(), "version", nc.ConnectedServerVersion())
	if limit := nc.MaxPayload(); limit < int64(e.largest) {
		e.log.Warn("the NATS server takes less than the largest content; larger publications are refused", "max_payload", limit, "max_content", e.largest)
	}
}

// dialer dials the connections of one attempt to open a link, because nats.go does not take a
// context.
type dialer struct {
	ctx     context.Context
	link    *serverLink
	timeout time.Duration
	err     error // of the last attempt
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.dial(network, address)
	if d.err = err; err != nil {
		return nil, err
	}
	c := &gatedConn{Conn: lastread.New(conn, d.timeout), in: d.link.in}
	d.link.conn.Store(c)
	if d.ctx.Err() != nil { // the context ended too early to cut it
		_ = c.Close()
	}
	return c, nil
}

// dial tries the addresses of a host in random order. nats.go would look them up itself, without a
// timeout.
func (d *dialer) dial(network, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(d.ctx, host)
	dialer := net.Dialer{Timeout: d.timeout}
	for _, i := range rand.Perm(len(addrs)) {
		if conn, err = dialer.DialContext(d.ctx, network, net.JoinHostPort(addrs[i].String(), port)); err == nil {
			break
		}
	}
	return conn, err
}
