package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"wsify/auth"
	"wsify/broker"
	"wsify/hub"
	"wsify/internal/events"
	"wsify/internal/follow"
	"wsify/internal/repeat"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// Settings are the part of the configuration that sessions need. The server's Config
// documents them, validates them and fills in the defaults.
type Settings struct {
	Loops, Shards int
	Poller        string
	ListenMode    os.FileMode
	MaxDescriptor int // no connection gets this descriptor number, or a higher one

	AuthorizerURL     string      // empty: no authorizer
	AuthorizerTLS     *tls.Config // nil: Go's defaults
	AuthorizerTimeout time.Duration
	AuthorizerEvents  []string
	AuthorizerCache   int // answers that are kept; 0 or less: none
	Workers, Queue    int

	Events    []string // names of lifecycle events that are sent; nil: none
	EventsURL string   // where to

	TrustedProxies []string // networks of proxies that are believed when they say who their client is
	ProxyProtocol  string   // ProxyOff, ProxyOptional or ProxyRequired

	BroadcastingKey string // empty: a request without a key may publish
	AdminKey        string // signs orders to the other nodes; empty: there are none
	AllowedOrigins  []string

	HandshakeTimeout         time.Duration
	MaxHeadSize              int
	PingInterval             time.Duration
	PongTimeout              time.Duration
	MaxMessageSize           int
	MaxChannelsPerConnection int
	MaxChannelLength         int
	WriteQueueSize           int
	MaxWriteMemory           int // 0: no bound
	DropSlow                 bool

	Compression                          bool // clients that offer permessage-deflate get it
	CompressionMinSize, CompressionLevel int  // of messages in bytes; from 1 to 9

	Limits
	Now func() time.Time // the clock of rates; nil: time.Now
	// Memory returns how many bytes of memory are in use, and how many may be; a limit of 0 if
	// that cannot be read. It is called from one goroutine. Nil: the memory is not watched.
	Memory          func() (used, limit int64)
	AccessLogSample float64 // the fraction of connections in the access log; 0: it is off

	Broker       broker.Broker
	History      *broker.History // which channels keep history; nil: none
	BrokerDriver string          // name of the broker's driver
	Times        Times
	Logger       *slog.Logger
	Faults       *slog.Logger // like Logger, for errors that may repeat without end
}

// Times records durations. Its methods are called from any goroutine and must not block.
type Times interface {
	// Asked records the duration of a call to the authorizer.
	Asked(time.Duration)
	// Lagged records how long a task waited for its loop.
	Lagged(time.Duration)
	// Stamp is called for each publication; channel is borrowed. It returns 0 for
	// publications that are not timed. A loop passes any other stamp to Delivered after delivery to all its members.
	Stamp(channel []byte) int64
	Delivered(stamp int64)
}

// Node holds the sessions of this process, on all its loops, and the state they share.
// Its methods may be called from any goroutine that is not an event loop.
type Node struct {
	cfg     Settings
	log     *slog.Logger
	faults  *slog.Logger
	times   Times
	tick    time.Duration
	group   *netpoll.Group
	hub     *hub.Hub
	loops   []*loop
	memory  writeMemory
	workers *auth.Workers
	auth    *auth.Client // nil without an authorizer
	cache   *auth.Cache  // of its answers; nil if none are kept
	events  event        // the events that the authorizer is asked about

	lifecycle *events.Sender // of lifecycle events; nil without
	broker    broker.Broker
	follower  *follow.Follower // of the channels that keep history; nil without
	orders    *orders          // to and from the other nodes; nil without
	obeyed    [numOrders]atomic.Uint64
	name      string // prefix of the ids of connections; see connID
	current   atomic.Pointer[snapshot]

	admission    admission
	watch        memoryWatch
	publications publishRate
	deflater     *wire.Deflater   // nil without compression
	answers      *repeat.Memory   // to requests with an Idempotency-Key
	clock        func() time.Time // Settings.Now, or time.Now
	proxies      proxies

	draining atomic.Bool   // new clients are refused
	stopping chan struct{} // closed when the shutdown begins
	drains   sync.Mutex    // locked while a drain begins or ends; a leaf
	endDrain func()        // ends the Drain; nil without one, and once the shutdown has begun. Guarded by drains

	authorizer   [numEvents][auth.NumResults]atomic.Uint64
	ignored      ignored
	inFlight     atomic.Int64              // calls to the authorizer
	availability availability              // of the authorizer
	starved      atomic.Pointer[time.Time] // when a call last found no descriptor; nil: never
}

// Open makes the loops and starts the broker, which the Node closes. Call Listen next.
func Open(cfg Settings) (*Node, error) {
	n := &Node{
		cfg: cfg, log: cfg.Logger, faults: cfg.Faults, times: cfg.Times, broker: cfg.Broker, tick: tickFor(&cfg),
		name: newNodeName(), stopping: make(chan struct{}), proxies: newProxies(cfg.TrustedProxies, cfg.ProxyProtocol),
	}
	n.answers = repeat.NewMemory()
	n.openLimits()
	if cfg.Compression {
		n.deflater = wire.NewDeflater(cfg.CompressionLevel, cfg.CompressionMinSize)
	}
	n.Reload(cfg)
	n.memory.limit(cfg.MaxWriteMemory, cfg.Loops)
	if err := n.openAuthorizer(); err != nil {
		return nil, err
	}
	if err := n.openEvents(); err != nil {
		return nil, err
	}
	if err := n.openFollower(); err != nil {
		return nil, err
	}
	if err := n.openLoops(); err != nil {
		return nil, err
	}
	if err := n.startBroker(); err != nil {
		return nil, errors.Join(fmt.Errorf("broker %s: %w", cfg.BrokerDriver, err), n.group.Stop())
	}
	return n, nil
}

// Listen lets clients connect to each of addrs, and returns the addresses in use, in the
// same order. If it fails, it has stopped the Node.
func (n *Node) Listen(addrs ...string) (at []net.Addr, err error) {
	for _, addr := range addrs {
		in, err := n.group.Listen(addr)
		if err != nil {
			return nil, errors.Join(err, n.broker.Close(), n.group.Stop())
		}
		at = append(at, in)
	}
	n.lifecycle.Start()
	go n.trim()
	if n.watch.read != nil {
		go n.watchMemory()
	}
	return at, nil
}

// Failed returns a chan that gets the error of a loop that ended without Shutdown.
func (n *Node) Failed() <-chan error { return n.group.Failed() }

// openAuthorizer makes the authorizer's client and the pool of workers that use it.
func (n *Node) openAuthorizer() (err error) {
	n.workers = auth.NewWorkers(n.cfg.Workers, n.cfg.Queue, n.roomInPool)
	n.workers.OnPanic = func(value any, stack []byte) {
		n.faults.Error("panic on a worker", "panic", value, "stack", string(stack))
	}
	if n.cfg.AuthorizerURL == "" {
		return nil
	}
	n.cache = auth.NewCache(n.cfg.AuthorizerCache)
	for _, name := range n.cfg.AuthorizerEvents {
		n.events |= eventNames[name]
	}
	n.auth, err = auth.New(auth.Config{
		URL: n.cfg.AuthorizerURL, Timeout: n.cfg.AuthorizerTimeout, MaxConns: n.cfg.Workers, TLSConfig: n.cfg.AuthorizerTLS,
	})
	return err
}

// openLoops makes the hub and the event loops.
func (n *Node) openLoops() (err error) {
	n.hub = hub.New(hub.Config{
		Loops: n.cfg.Loops, Shards: n.cfg.Shards, MaxPendingBytes: n.cfg.WriteQueueSize / 4,
		Sink: n, Watcher: n.watcher(),
	})
	n.group, err = netpoll.Open(netpoll.Config{
		Loops: n.cfg.Loops, MaxQueuedBytes: n.cfg.WriteQueueSize, LingerTimeout: closeTimeout,
		MaxDescriptor: n.cfg.MaxDescriptor, Tick: n.tick, Poller: netpoll.Poller(n.cfg.Poller), Logger: n.faults, ConnName: n.connID, SocketMode: n.cfg.ListenMode,
	}, n.newLoop)
	return err
}

func (n *Node) newLoop(net *netpoll.Loop) netpoll.Handler {
	l := &loop{node: n, net: net, hub: n.hub.Local(net.Index())}
	l.noted, l.access = l.note, newAccessLog(n, l.userOf)
	n.loops = append(n.loops, l)
	return l
}

// tickFor returns the precision of deadlines: a quarter second, or less if a
// configured timeout is short.
func tickFor(cfg *Settings) time.Duration {
	shortest := min(cfg.HandshakeTimeout, cfg.PongTimeout)
	if cfg.PingInterval > 0 {
		shortest = min(shortest, cfg.PingInterval)
	}
	return max(min(shortest/8, 250*time.Millisecond), time.Millisecond)
}

// roomInPool resumes sessions that wait for a place in the worker pool.
func (n *Node) roomInPool() {
	for _, l := range n.loops {
		if l.blocked.waits.Load() {
			l.net.Post(l.unblock)
		}
	}
}

// CheckWebhooks logs whether the authorizer and the webhook for events, if configured, can be
// reached. Without the first, every connection will be refused. It waits for the answers.
func (n *Node) CheckWebhooks() {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.AuthorizerTimeout)
	defer cancel()
	if n.cfg.EventsURL != n.cfg.AuthorizerURL {
		defer n.lifecycle.Check()
	}
	if n.auth == nil {
		return
	}
	if report, err := n.auth.Check(ctx); err != nil {
		n.log.Warn(report.String(), "err", err)
	} else {
		n.log.Info(report.String())
	}
}
