package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/internal/dsn"
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
	Check: check,
}

// check is the Check of Driver.
func check(cfg broker.Config) broker.Problems {
	p := broker.Problems{DSN: checkDSN(cfg.DSN), Prefix: checkPrefix(cfg.Prefix)}
	if most := maxChannel(cfg.Prefix); cfg.MaxChannel > most {
		p.MaxChannel = fmt.Errorf("with NATS and this prefix a name may have %d bytes, for a subject that fits in a line of its protocol", most)
	}
	return p
}

func newEngine(cfg broker.Config) (*engine, error) {
	d, err := parseDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if _, err := d.options(); err != nil {
		return nil, err
	}
	if err := checkPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	cfg = cfg.Filled()
	return &engine{dsn: d, secrets: d.secrets(), log: cfg.Logger, largest: cfg.MaxContent}, nil
}

// engine opens links to NATS servers.
type engine struct {
	dsn     *address     // immutable
	secrets dsn.Secrets  // immutable; masked in what servers say
	log     *slog.Logger // immutable
	largest int          // content; immutable

	mu         sync.Mutex // a leaf lock
	discovered []string   // servers that the last one told of
}

// String returns where the engine is, for logs.
func (e *engine) String() string { return "nats at " + e.dsn.String() }

// Open connects to one of the servers, in random order. The files of the DSN are
// read anew each time, so that they can be replaced.
func (e *engine) Open(ctx context.Context, to broker.Sink) (_ broker.Link, maxContent int, err error) {
	opts, err := e.dsn.options()
	if err != nil {
		return nil, 0, err
	}
	opts.Servers = append(opts.Servers, e.others()...)
	l := newServerLink(e, to)
	dialing := &dialer{ctx: ctx, link: l, opts: &opts}
	l.handlers(&opts)
	opts.CustomDialer, opts.SkipHostLookup = dialing, true
	stop := context.AfterFunc(ctx, l.cut)
	nc, err := opts.Connect()
	if !stop() && err == nil {
		nc.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("NATS at %s: %w", e.dsn, e.secrets.Err(dialing.explain(err)))
	}
	e.welcome(nc)
	l.begin(nc)
	return l, int(nc.MaxPayload()), nil
}

// welcome logs which server it is, and what it cannot carry.
func (e *engine) welcome(nc *nats.Conn) {
	e.log.Info("connected to a NATS server", "server", nc.ConnectedServerName(), "address", nc.ConnectedAddr(), "cluster", nc.ConnectedClusterName(), "version", nc.ConnectedServerVersion())
	if limit := nc.MaxPayload(); limit < int64(e.largest) {
		e.log.Warn("the NATS server takes less than the largest content; larger publications are refused", "max_payload", limit, "max_content", e.largest)
	}
}

// remember keeps the servers that a server told of, for the next link: those of the
// DSN may be away then. Their certificates must be for the addresses told.
func (e *engine) remember(servers []string) {
	if len(servers) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.discovered = servers
}

func (e *engine) others() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.discovered
}

// dialer makes the connections of one attempt to open a link. nats.go has no
// context for that.
type dialer struct {
	ctx  context.Context
	link *serverLink
	opts *nats.Options
	err  error // of the last attempt
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.dial(network, address)
	if err != nil {
		d.err = err
		return nil, err
	}
	c := &gatedConn{Conn: lastread.New(conn, d.opts.Timeout), in: d.link.in, closed: make(chan struct{})}
	d.link.conn.Store(c)
	if d.ctx.Err() != nil { // it was too late to be cut
		_ = c.Close()
	}
	return c, nil
}

// dial tries the addresses of a host in random order. nats.go would look them up
// itself, for as long as that takes.
func (d *dialer) dial(network, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(d.ctx, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	dialer := net.Dialer{Timeout: d.opts.Timeout}
	for _, addr := range addrs {
		conn, err = dialer.DialContext(d.ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil || d.ctx.Err() != nil {
			break
		}
	}
	return conn, err
}

// explain puts the reason in place of nats.go's words for a refused connection.
func (d *dialer) explain(err error) error {
	if errors.Is(err, nats.ErrNoServers) && d.err != nil {
		return d.err
	}
	return link.WithoutAddresses(err)
}
