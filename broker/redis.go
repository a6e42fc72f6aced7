package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RedisDriver is the driver of NewRedis.
var RedisDriver = Driver{
	Name:  "redis",
	Open:  func(cfg Config) (Broker, error) { return NewRedis(cfg) },
	Check: func(cfg Config) Problems { return Problems{DSN: CheckRedisDSN(cfg.DSN)} },
}

// NewRedis returns a broker whose engine is Redis 6 or later, or what speaks its
// protocol: one server, one of several that sentinels watch, or a cluster. A
// publication is a plain PUBLISH of the content to the channel, so that any client
// of Redis can publish and listen too.
//
// Config.DSN is redis://user:password@host:port/database, rediss:// for TLS, or
// unix:///path/of/socket. Empty means redis://localhost:6379. The database is
// accepted because version 3 had it, and means nothing: publications have none.
// Parameters stand behind a question mark:
//
//   - addr=host:port, repeated: further servers to try, sentinels or nodes of the cluster
//   - master_set=NAME: the addresses are of sentinels, asked for the master of this
//     name; sentinel_user and sentinel_password log in to them
//   - sharded=auto, yes or no: sharded publications (SPUBLISH) in a cluster, which
//     a plain PUBLISH of others does not reach; auto means where all of its masters
//     are version 7 or later. All nodes of ours must do the same: while a cluster is
//     upgraded to 7, say which
//   - ca, cert, key: files in PEM form of who signed the server's certificate, and of
//     our own; server_name: the name in the server's, when it is not the host's;
//     skip_verify: believe any
//   - client_name, dial_timeout (5s)
//
// Options of version 3 about pools, retries, timeouts of single calls and the
// protocol are accepted, and a warning says that they have no effect.
func NewRedis(cfg Config) (*Remote, error) {
	o, err := parseRedisDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if _, err := o.tlsConfig(); err != nil {
		return nil, err
	}
	e := &redisEngine{o: o, limit: max(cfg.MaxContent, 64<<10) + 1, log: cfg.Logger}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if len(o.unused) > 0 {
		e.log.Warn("the broker's DSN has options that have no effect", "options", strings.Join(o.unused, ","))
	}
	return newRemote(cfg, e), nil
}

// redisEngine opens links to Redis.
type redisEngine struct {
	o     *redisOptions
	limit int // bytes of a content that are kept
	log   *slog.Logger
	known []string // masters of the cluster when it was opened last; for open only
	next  int      // the address that open begins with; for open only
	most  int      // bytes of content that the server takes, if it says so; for open only
}

var _ engine = (*redisEngine)(nil)

// String returns where the engine is, for logs.
func (e *redisEngine) String() string { return "redis at " + strings.Join(e.o.addrs, ", ") }

// open tries each address in turn, of sentinels those that they name, and opens the kind
// of link that it finds there.
func (e *redisEngine) open(ctx context.Context, to sink) (link, error) {
	tlsConfig, err := e.o.tlsConfig() // anew each time: certificates are renewed
	if err != nil {
		return nil, err
	}
	d := &redisDialer{o: e.o, tls: tlsConfig, limit: e.limit, log: e.log}
	addrs := slices.Clone(e.o.addrs)
	var watch redisWatcher
	if e.o.masterSet != "" {
		if addrs, _, err = d.askSentinels(ctx); err != nil {
			return nil, err
		}
		watch = d.masterMoved
	}
	for _, addr := range e.known { // the node of the DSN may be the one that is away
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	var failed []error
	begin := e.next
	e.next = 0
	for i := range addrs {
		at := (begin + i) % len(addrs)
		share, cancel := shareOf(ctx, len(addrs)-i)
		l, err := e.openAt(share, to, d, addrs[at], watch)
		cancel()
		if err == nil {
			return l, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			e.next = at + 1 // those that had no turn are first the next time
			break
		}
	}
	return nil, errors.Join(failed...)
}

// shareOf leaves so many attempts the same time each, so that an address that
// swallows everything does not take that of the others. It is never less than it may
// take to reach one: of a large cluster all would fail.
func shareOf(ctx context.Context, attempts int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || attempts <= 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(attempts), redisNodeTimeout))
}

func (e *redisEngine) maxContent() int { return e.most }

// redisLeastBulk is the least that a server can be told to take.
const redisLeastBulk = 1 << 20

// askMost asks a server what it takes, where that can be too little: it ends the
// connection of who sends more. Who may not ask has to believe that it is enough.
func (e *redisEngine) askMost(ctx context.Context, conn *redisConn) error {
	e.most = 0
	if e.limit <= redisLeastBulk {
		return nil
	}
	return conn.during(ctx, e.o.timeout, func() error {
		r, err := conn.call("CONFIG", "GET", "proto-max-bulk-len")
		if _, refused := errors.AsType[respError](err); refused {
			return nil
		}
		if err == nil && len(r.list) == 2 {
			e.most, _ = strconv.Atoi(r.list[1].text)
		}
		return err
	})
}

// openAt opens a link by way of one address. watch may be nil.
func (e *redisEngine) openAt(ctx context.Context, to sink, d *redisDialer, addr string, watch redisWatcher) (link, error) {
	conn, server, err := d.login(ctx, addr, e.o.user, e.o.password)
	if err != nil {
		return nil, err
	}
	var l link
	if err = e.askMost(ctx, conn); err == nil {
		l, err = e.use(ctx, to, d, conn, server, watch)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

// use makes a link of a connection.
func (e *redisEngine) use(ctx context.Context, to sink, d *redisDialer, conn *redisConn, server redisServer, watch redisWatcher) (link, error) {
	switch {
	case server.mode == "sentinel":
		return nil, fmt.Errorf("redis at %s is a sentinel: the DSN needs master_set, the name of the master", conn.addr)
	case server.mode == "cluster":
		l, masters, err := openCluster(ctx, to, d, conn)
		if err == nil {
			e.known = masters
		}
		return l, err
	case server.replica():
		// What is published there reaches none but its own subscribers.
		return nil, fmt.Errorf("redis at %s is a replica: the DSN must lead to the master", conn.addr)
	}
	return openRedisLink(ctx, to, d, conn, watch)
}
