package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"wsify/auth"
	"wsify/broker"
	"wsify/hub"
	"wsify/internal/logs"
	"wsify/netpoll"
)

// Server is a running wsify server. Its methods may be called from any goroutine
// that is not an event loop.
type Server struct {
	cfg     Config
	log     *slog.Logger
	faults  *slog.Logger // log, for what may happen without end
	tick    time.Duration
	group   *netpoll.Group
	hub     *hub.Hub
	loops   []*loop
	memory  writeMemory
	workers *hub.Workers
	auth    *auth.Client // nil without an authorizer
	events  event        // which commands ask it
	broker  broker.Broker
	keys    keys
	origins origins
	addr    net.Addr
	node    string // begins the ids of connections; see connID
	admin   *admin // nil without an admin listener
	sampler *sampler

	fileLimit uint64 // descriptors this process may have
	kept      uint64 // of these, not for clients
	maxAdmin  int    // connections of the admin listener

	draining atomic.Bool
	stopOnce sync.Once
	stopping chan struct{} // closed when the shutdown begins

	authorizer   [numEvents][auth.NumResults]atomic.Uint64
	inFlight     atomic.Int64              // calls to the authorizer
	availability availability              // of the authorizer
	starved      atomic.Pointer[time.Time] // when a call last found no descriptor; nil: never
}

// Run starts a server and serves until ctx ends; it then shuts down in order and
// returns nil. Any other end is an error.
func Run(ctx context.Context, cfg Config) error {
	srv, err := Start(cfg)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return srv.Shutdown()
	case err := <-srv.group.Failed():
		return errors.Join(fmt.Errorf("event loop: %w", err), srv.Shutdown())
	}
}

// Start checks cfg, opens the listener and begins to serve. It returns when
// clients can connect.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	srv := &Server{
		cfg: cfg, log: cfg.Logger, origins: newOrigins(cfg.AllowedOrigins), keys: newKeys(&cfg),
		node: newNodeName(), stopping: make(chan struct{}),
	}
	if srv.log == nil {
		srv.log = slog.New(slog.DiscardHandler)
	}
	srv.faults = slog.New(logs.Seldom(srv.log.Handler()))
	before, limit, err := netpoll.RaiseFileLimit()
	if err != nil {
		srv.log.Warn("the file limit could not be raised", "err", err, "limit", limit)
	}
	srv.keepDescriptors(limit)
	srv.sampler = newSampler()
	if err := srv.openAuthorizer(); err != nil {
		return nil, err
	}
	if err := srv.openLoops(); err != nil {
		return nil, err
	}
	if err := srv.broker.Start(srv.deliver, srv.roomInBroker); err != nil {
		return nil, errors.Join(fmt.Errorf("broker %s: %w", cfg.BrokerDriver, err), srv.group.Stop())
	}
	if srv.addr, err = srv.group.Listen(cfg.ListenAddr); err != nil {
		return nil, errors.Join(err, srv.broker.Close(), srv.group.Stop())
	}
	if err := srv.startAdmin(); err != nil {
		return nil, errors.Join(err, srv.broker.Close(), srv.group.Stop())
	}
	go srv.trim()
	srv.announce(before, limit)
	srv.admin.announce()
	return srv, nil
}

// keepDescriptors decides how many are not for clients: without them clients that knock
// on would take each that becomes free, and nobody could ask the authorizer, reach the
// broker's engine again, or look at the admin pages. Where that would be too much, each
// of these has a smaller share, so that none takes all.
func (srv *Server) keepDescriptors(limit uint64) {
	const links = 64 // to the engine
	asked := srv.cfg.Workers
	want := uint64(asked) + maxAdmin + links
	srv.fileLimit, srv.kept = limit, min(limit/4, want)
	share := func(n int) int { return max(1, int(uint64(n)*srv.kept/want)) }
	srv.cfg.Workers, srv.maxAdmin = share(asked), share(maxAdmin)
	if srv.cfg.Workers < asked {
		srv.log.Warn("fewer calls to the authorizer run at once than -workers: raise the file limit", "workers", srv.cfg.Workers, "asked", asked, "limit", limit)
	}
}

// openAuthorizer makes the client and the pool that asks it.
func (srv *Server) openAuthorizer() (err error) {
	srv.workers = hub.NewWorkers(srv.cfg.Workers, srv.cfg.Queue, srv.roomInPool)
	srv.workers.OnPanic = func(value any, stack []byte) {
		srv.faults.Error("panic on a worker", "panic", value, "stack", string(stack))
	}
	if srv.cfg.AuthorizerURL == "" {
		return nil
	}
	events := srv.cfg.AuthorizerEvents
	if events == nil {
		srv.events = eventConnect | eventJoin | eventLeave | eventBroadcast
	}
	for _, name := range events {
		srv.events |= eventNames[name]
	}
	secure, err := srv.cfg.authorizerTLS()
	if err != nil {
		return err
	}
	srv.auth, err = auth.New(auth.Config{
		URL: srv.cfg.AuthorizerURL, Timeout: srv.cfg.AuthorizerTimeout, MaxConns: srv.cfg.Workers, TLSConfig: secure,
	})
	return err
}

// openLoops makes the hub, the broker and the event loops that serve them.
func (srv *Server) openLoops() (err error) {
	srv.tick = tickFor(srv.cfg)
	srv.memory.limit(srv.cfg.MaxWriteMemory, srv.cfg.Loops)
	driver, err := driverOf(&srv.cfg)
	if err != nil {
		return err
	}
	c := brokerConfig(&srv.cfg)
	c.PublishTook = srv.sampler.published
	if srv.broker, err = driver.Open(c); err != nil {
		return err
	}
	srv.hub = hub.New(hub.Config{
		Loops: srv.cfg.Loops, Shards: srv.cfg.Shards, MaxPendingBytes: srv.cfg.WriteQueueSize / 4,
		Sink: srv, Watcher: srv.broker,
	})
	srv.group, err = netpoll.Open(netpoll.Config{
		Loops: srv.cfg.Loops, MaxQueuedBytes: srv.cfg.WriteQueueSize, LingerTimeout: closeTimeout,
		MaxDescriptor: int(srv.fileLimit - srv.kept), Tick: srv.tick, Poller: netpoll.Poller(srv.cfg.Poller), Logger: srv.faults, ConnName: srv.connID, SocketMode: srv.cfg.ListenMode,
	}, srv.newLoop)
	return err
}

func (srv *Server) newLoop(l *netpoll.Loop) netpoll.Handler {
	h := &loop{srv: srv, net: l, hub: srv.hub.Local(l.Index())}
	h.noted = h.note
	srv.loops = append(srv.loops, h)
	return h
}

// tickFor is the precision of deadlines: a quarter second, finer when a
// configured timeout is short.
func tickFor(cfg Config) time.Duration {
	shortest := min(cfg.HandshakeTimeout, cfg.PongTimeout)
	if cfg.PingInterval > 0 {
		shortest = min(shortest, cfg.PingInterval)
	}
	return max(min(shortest/8, 250*time.Millisecond), time.Millisecond)
}

// roomInPool lets sessions go on that waited for a place in the worker pool.
func (srv *Server) roomInPool() {
	for _, l := range srv.loops {
		if l.blocked.waits.Load() {
			l.net.Post(l.unblock)
		}
	}
}

// announce logs what this process can hold, and what an operator should know.
func (srv *Server) announce(before, limit uint64) {
	srv.log.Info("wsify is listening", "addr", srv.addr.String(), "version", srv.cfg.Version,
		"file_limit", limit, "file_limit_before", before, "loops", srv.group.Loops(), "shards", srv.hub.Shards(),
		"workers", srv.cfg.Workers, "queue", srv.cfg.Queue, "memory_limit", orNone(memoryLimit()), "max_write_memory", orNone(srv.cfg.MaxWriteMemory),
		"broker", srv.cfg.BrokerDriver, "authorizer", srv.auth != nil, "go", runtime.Version())
	srv.announceKey()
	srv.announceBacklog(netpoll.Backlog())
	if !srv.asks(eventBroadcast) {
		srv.log.Warn("every client may publish to every channel: no authorizer is asked about broadcasts")
	}
	if srv.auth != nil {
		if srv.origins.any {
			srv.log.Warn("any web page may connect with its visitor's cookies: -allowed-origins is *")
		}
		go srv.checkAuthorizer()
	}
}

// announceBacklog warns when a storm of connections would overflow the kernel's queue:
// who finds it full waits a second or more for the next SYN. Linux has had 4096 as its
// default since 5.4.
func (srv *Server) announceBacklog(most int) {
	if most > 0 && most < 4096 {
		srv.log.Warn("few clients can wait to be accepted, in a storm others wait for seconds: raise net.core.somaxconn to 4096", "somaxconn", most)
	}
}

// checkAuthorizer tells at start whether the authorizer can be reached: without
// it every connection will be refused.
func (srv *Server) checkAuthorizer() {
	ctx, cancel := context.WithTimeout(context.Background(), srv.cfg.AuthorizerTimeout)
	defer cancel()
	if report, err := srv.auth.Check(ctx); err != nil {
		srv.log.Warn(report.String(), "err", err)
	} else {
		srv.log.Info(report.String())
	}
}

// Addr is the address clients connect to.
func (srv *Server) Addr() net.Addr { return srv.addr }
