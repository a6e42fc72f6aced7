package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/nats-io/nats.go"

	"wsify/broker/internal/dsn"
	"wsify/internal/lastread"
)

// NATSDriver is the driver of NewNATS.
var NATSDriver = Driver{
	Name:  "nats",
	Open:  func(cfg Config) (Broker, error) { return NewNATS(cfg) },
	Check: checkNATS,
}

// checkNATS is the Check of NATSDriver.
func checkNATS(cfg Config) Problems {
	p := Problems{DSN: CheckNATSDSN(cfg.DSN), Prefix: CheckNATSPrefix(cfg.Prefix)}
	if most := maxNATSChannel(cfg.Prefix); cfg.MaxChannel > most {
		p.MaxChannel = fmt.Errorf("with NATS and this prefix a name may have %d bytes, for a subject that fits in a line of its protocol", most)
	}
	return p
}

// NewNATS returns a broker whose engine is NATS servers at cfg.DSN; CheckNATSDSN has
// its forms. A channel's name is its subject, with what a subject cannot hold
// escaped as in URLs, behind cfg.Prefix.
//
// What NATS promises is what members can count on. Publications of one node arrive
// everywhere in their order; those of different nodes may arrive here in one order and
// there in another. In a cluster, servers tell each other in the background who
// subscribes to what: a publication that another server takes within that time
// after a subscription was confirmed may be missed.
func NewNATS(cfg Config) (*Remote, error) {
	d, err := parseNATSDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if _, err := d.options(); err != nil {
		return nil, err
	}
	if err := CheckNATSPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	e := &natsEngine{dsn: d, secrets: d.secrets(), log: cfg.Logger, largest: cfg.MaxContent}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	r := newRemote(cfg, e)
	e.largest = r.cfg.MaxContent
	return r, nil
}

// natsEngine opens links to NATS servers.
type natsEngine struct {
	dsn     *natsDSN     // immutable
	secrets dsn.Secrets  // immutable; masked in what servers say
	log     *slog.Logger // immutable
	largest int          // content; immutable
	payload int          // the most that the server takes; for open only

	mu         sync.Mutex // a leaf lock
	discovered []string   // servers that the last one told of
}

// String returns where the engine is, for logs.
func (e *natsEngine) String() string { return "nats at " + e.dsn.String() }

func (e *natsEngine) maxContent() int { return e.payload }

// open connects to one of the servers, in random order. The files of the DSN are
// read anew each time, so that they can be replaced.
func (e *natsEngine) open(ctx context.Context, to sink) (link, error) {
	opts, err := e.dsn.options()
	if err != nil {
		return nil, err
	}
	opts.Servers = append(opts.Servers, e.others()...)
	l := newNATSLink(e, to)
	dialer := &natsDialer{ctx: ctx, link: l, opts: &opts}
	l.handlers(&opts)
	opts.CustomDialer, opts.SkipHostLookup = dialer, true
	stop := context.AfterFunc(ctx, l.cut)
	nc, err := opts.Connect()
	if !stop() && err == nil {
		nc.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("NATS at %s: %w", e.dsn, e.secrets.Err(dialer.explain(err)))
	}
	e.payload = int(nc.MaxPayload())
	e.welcome(nc)
	l.begin(nc)
	return l, nil
}

// welcome logs which server it is, and what it cannot carry.
func (e *natsEngine) welcome(nc *nats.Conn) {
	e.log.Info("connected to a NATS server", "server", nc.ConnectedServerName(), "address", nc.ConnectedAddr(), "cluster", nc.ConnectedClusterName(), "version", nc.ConnectedServerVersion())
	if limit := nc.MaxPayload(); limit < int64(e.largest) {
		e.log.Warn("the NATS server takes less than the largest content; larger publications are refused", "max_payload", limit, "max_content", e.largest)
	}
}

// remember keeps the servers that a server told of, for the next link: those of the
// DSN may be away then. Their certificates must be for the addresses told.
func (e *natsEngine) remember(servers []string) {
	if len(servers) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.discovered = servers
}

func (e *natsEngine) others() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.discovered
}

// natsDialer makes the connections of one attempt to open a link. nats.go has no
// context for that.
type natsDialer struct {
	ctx  context.Context
	link *natsLink
	opts *nats.Options
	err  error // of the last attempt
}

// Dial implements nats.CustomDialer.
func (d *natsDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.dial(network, address)
	if err != nil {
		d.err = err
		return nil, err
	}
	c := &natsConn{Conn: lastread.New(conn, d.opts.Timeout), in: d.link.in, closed: make(chan struct{})}
	d.link.conn.Store(c)
	if d.ctx.Err() != nil { // it was too late to be cut
		_ = c.Close()
	}
	return c, nil
}

// dial tries the addresses of a host in random order. nats.go would look them up
// itself, for as long as that takes.
func (d *natsDialer) dial(network, address string) (conn net.Conn, err error) {
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
func (d *natsDialer) explain(err error) error {
	if errors.Is(err, nats.ErrNoServers) && d.err != nil {
		return d.err
	}
	return withoutAddresses(err)
}
