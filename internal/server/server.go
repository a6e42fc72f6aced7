package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wsify/internal/logs"
	"wsify/internal/operate"
	"wsify/internal/otlp"
	"wsify/internal/session"
	"wsify/netpoll"
)

// Server is a running wsify server. Its methods may be called from any goroutine
// that is not an event loop.
type Server struct {
	cfg   Config
	log   *slog.Logger
	node  *session.Node
	addrs []net.Addr
	admin *operate.Admin // nil without an admin listener

	sampler *operate.Sampler
	export  *otlp.Exporter // nil without a collector

	fileLimit uint64 // the descriptor limit of this process
	kept      uint64 // descriptors that clients cannot take
	maxAdmin  int    // the most connections of the admin listener

	delay, drain atomic.Int64 // ShutdownDelay and DrainTimeout; a reload changes them
	leaving      atomic.Bool  // the shutdown delay has begun

	reloading sync.Mutex // locked while the configuration is reloaded
	key       string     // of POST /broadcast; guarded by reloading
	random    bool       // key was made for this run; guarded by reloading

	stopOnce sync.Once
}

// Run starts a server and serves until ctx ends; then it shuts down in order and returns nil. Any
// other end returns an error.
func Run(ctx context.Context, cfg Config) error {
	srv, err := Start(cfg)
	if err != nil {
		return err
	}
	if cfg.Started != nil {
		cfg.Started(srv)
	}
	select {
	case <-ctx.Done():
		return srv.leave()
	case err := <-srv.node.Failed():
		return errors.Join(fmt.Errorf("event loop: %w", err), srv.Shutdown())
	}
}

// Start checks cfg, opens the listeners and begins to serve. When it returns, clients can connect.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	srv := &Server{cfg: cfg, log: cfg.Logger}
	if srv.log == nil {
		srv.log = slog.New(slog.DiscardHandler)
	}
	before, limit, err := netpoll.RaiseFileLimit()
	if err != nil {
		srv.log.Warn("the file limit could not be raised", "err", err, "limit", limit)
	}
	srv.keepDescriptors(limit)
	sampler := operate.NewSampler(cfg.AdminChannels)
	srv.delay.Store(int64(cfg.ShutdownDelay))
	srv.drain.Store(int64(cfg.DrainTimeout))
	srv.key, srv.random = srv.cfg.key()
	if err := srv.openNode(sampler); err != nil {
		return nil, err
	}
	if srv.addrs, err = srv.node.Listen(cfg.ListenAddrs...); err != nil {
		return nil, err
	}
	if err := srv.openOperating(sampler); err != nil {
		srv.closeOperating()
		_, stopped := srv.node.Shutdown(0)
		return nil, errors.Join(err, stopped)
	}
	srv.announce(before, srv.key, srv.random)
	srv.admin.Announce()
	return srv, nil
}

// keepDescriptors reserves descriptors that clients cannot take. Otherwise clients that reconnect
// all the time would take each free one, and nothing would be left for calls to the authorizer, the
// broker's engine and the admin pages. If these need too many, each gets a smaller share, so that
// none takes all.
func (srv *Server) keepDescriptors(limit uint64) {
	asked := srv.cfg.Workers
	kept, want := srv.cfg.Keeps(limit)
	srv.fileLimit, srv.kept = limit, kept
	share := func(n int) int { return max(1, int(uint64(n)*srv.kept/want)) }
	srv.cfg.Workers, srv.maxAdmin = share(asked), share(operate.MaxConnections)
	if srv.cfg.Workers < asked {
		srv.log.Warn("fewer calls to the authorizer run at once than -workers: raise the file limit", "workers", srv.cfg.Workers, "asked", asked, "limit", limit)
	}
}

// openNode opens the broker and the sessions.
func (srv *Server) openNode(sampler *operate.Sampler) error {
	c := &srv.cfg
	driver, err := driverOf(c)
	if err != nil {
		return err
	}
	secure, err := c.authorizerTLS()
	if err != nil {
		return err
	}
	b := brokerConfig(c)
	b.PublishTook = sampler.Published
	s := c.settings(srv.key)
	s.MaxDescriptor, s.AuthorizerTLS, s.Times = int(srv.fileLimit-srv.kept), secure, sampler
	s.Logger, s.Faults = srv.log, slog.New(logs.Seldom(srv.log.Handler()))
	if s.Broker, err = driver.Open(b); err != nil {
		return err
	}
	srv.node, err = session.Open(s)
	return err
}

// settings returns what of c sessions need.
func (c *Config) settings(key string) session.Settings {
	return session.Settings{
		Loops: c.Loops, Shards: c.Shards, Poller: c.Poller, ListenMode: c.ListenMode,
		TrustedProxies: c.TrustedProxies, ProxyProtocol: c.ProxyProtocol,
		AuthorizerURL: c.AuthorizerURL, AuthorizerTimeout: c.AuthorizerTimeout, AuthorizerEvents: c.AuthorizerEvents, AuthorizerCache: c.AuthorizerCache,
		Events: c.Events, EventsURL: cmp.Or(c.EventsURL, c.AuthorizerURL),
		Workers: c.Workers, Queue: c.Queue, BroadcastingKey: key, AdminKey: c.AdminKey, AllowedOrigins: c.AllowedOrigins,
		HandshakeTimeout: c.HandshakeTimeout, MaxHeadSize: c.MaxHeadSize, PingInterval: c.PingInterval, PongTimeout: c.PongTimeout,
		MaxMessageSize: c.MaxMessageSize, MaxChannelsPerConnection: c.MaxChannelsPerConnection, MaxChannelLength: c.MaxChannelLength,
		WriteQueueSize: c.WriteQueueSize, MaxWriteMemory: c.MaxWriteMemory, DropSlow: c.SlowPolicy == PolicyDrop, Limits: c.limits(), Memory: c.memoryMeter(),
		Compression: c.Compression == compressionOn, CompressionMinSize: c.CompressionMinSize, CompressionLevel: c.CompressionLevel,
		AccessLogSample: c.accessLogSample(), BrokerDriver: c.BrokerDriver, History: c.history(),
	}
}

// Shutdown stops accepting, answers HTTP requests under way, and closes every session with 1012, at
// an even pace, so that clients reconnect. It returns within Config.DrainTimeout, and may be called more than once;
// later calls do nothing.
func (srv *Server) Shutdown() (err error) {
	srv.stopOnce.Do(func() {
		began := time.Now()
		timeout := srv.drainTimeout()
		srv.log.Info("shutting down", "connections", srv.node.Connections(), "timeout", timeout.String())
		var left int64
		left, err = srv.node.Shutdown(timeout)
		srv.closeOperating()
		st := srv.Stats()
		srv.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond).String(), "cut_off", left,
			"accepted", st.Accepted, "sent", st.Sent, "dropped", notZero(st.Dropped), "closed", notZero(st.Closed))
	})
	return err
}

func notZero(all map[string]uint64) map[string]uint64 {
	maps.DeleteFunc(all, func(_ string, n uint64) bool { return n == 0 })
	return all
}

// Alive waits until every event loop has done what is posted to it, and returns true; or
// until ctx ends, and returns false. Loops that have ended never answer.
func (srv *Server) Alive(ctx context.Context) bool {
	for i := range srv.cfg.Loops {
		select {
		case <-srv.node.AskLoop(i):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Addr returns the first address that clients connect to.
func (srv *Server) Addr() net.Addr { return srv.addrs[0] }

// Addrs returns all addresses that clients connect to, in the order of Config.ListenAddrs.
func (srv *Server) Addrs() []net.Addr { return slices.Clone(srv.addrs) }

// AdminAddr returns the address of the admin listener, or nil when there is none.
func (srv *Server) AdminAddr() net.Addr { return srv.admin.Addr() }

// Stats returns the counters of this server.
func (srv *Server) Stats() session.Stats { return srv.node.Stats() }
