package operate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wsify/internal/operate/api"
	"wsify/internal/operate/live"
	"wsify/netpoll"
)

// Bounds on the connections of the admin listener.
const (
	adminReadTimeout  = 5 * time.Second  // to read a request
	adminWriteTimeout = 30 * time.Second // to write an answer, except for profiles, which take as long as requested
	adminIdleTimeout  = 90 * time.Second // between requests; Prometheus asks every 15 to 60 s
	adminHead         = 8 << 10          // bytes of a request head
	adminGrace        = time.Second      // for answers under way when the server stops
)

// Config is the configuration of the admin listener.
type Config struct {
	Addr           string
	Mode           os.FileMode // of a unix socket
	MaxConnections int         // more connections are closed
	Version        string      // of this program
	Metrics        *prometheus.Registry
	Logger         *slog.Logger
	Faults         *slog.Logger // like Logger, for records that may come often
	Key            string       // for names, addresses and changes; empty: see package api
	Control        api.Control
}

// Source is the server, as the admin listener sees it. Any goroutine may call its methods, and they
// do not block.
type Source interface {
	Stats() Stats
	// NotReady returns the reasons why this node should get no clients; none when it should.
	NotReady() []string
	// AskLoop returns a channel that is closed when event loop i, of Loops, has run a posted task.
	AskLoop(i int) <-chan struct{}
	Loops() int
	// EachChannel calls fn for each channel of this node with the number of its members, until fn
	// returns false. It may take long, and no lock is held while fn runs.
	EachChannel(fn func(name string, members int) (more bool))
}

// Admin is the listener for operators. net/http serves it on its own goroutines, so that it answers
// whatever the loops do. A nil Admin does nothing.
type Admin struct {
	cfg     Config
	source  Source
	sampler *Sampler
	board   *live.Board
	api     *api.API
	alive   time.Duration // how long a loop may take to answer
	ln      net.Listener
	http    *http.Server
	cancel  context.CancelFunc // ends the requests under way
	running sync.WaitGroup     // the goroutine that serves
}

// Open opens the admin listener and serves it. sampler runs until Stop.
func Open(cfg Config, source Source, sampler *Sampler) (*Admin, error) {
	ln, err := netpoll.OpenListener(cfg.Addr, cfg.Mode)
	if err != nil {
		return nil, adminError(err)
	}
	a := newAdmin(cfg, source, sampler, localPeer(ln.Addr()))
	a.ln = newListener(ln, cfg.MaxConnections)
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.http = &http.Server{
		Handler:     forLocalNames(ln.Addr(), a.handler(), a.api.RefuseHost),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ReadTimeout: adminReadTimeout, WriteTimeout: adminWriteTimeout, IdleTimeout: adminIdleTimeout, MaxHeaderBytes: adminHead,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug), // its errors are about unknown peers
	}
	sampler.Start(source, a.board)
	a.running.Go(a.serve)
	return a, nil
}

// adminError says what to do when the address cannot be listened on.
func adminError(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("-admin-addr: %w: a second node on this machine needs another one, such as 127.0.0.1:3002, or off", err)
	}
	return fmt.Errorf("-admin-addr: %w", err)
}

func newAdmin(cfg Config, source Source, sampler *Sampler, local bool) *Admin {
	streams := max(1, cfg.MaxConnections/4) // so that others get an answer
	a := &Admin{
		cfg: cfg, source: source, sampler: sampler, board: live.New(cfg.Version, streams), alive: aliveTimeout,
		api: api.New(api.Config{Key: cfg.Key, Local: local, Logger: cfg.Faults}, cfg.Control),
	}
	cfg.Metrics.MustRegister(&collector{stats: source.Stats, metrics: []metric{refusedMetric(a.api.Refused)}})
	return a
}

func (a *Admin) serve() {
	if err := a.http.Serve(a.ln); !errors.Is(err, http.ErrServerClosed) {
		a.cfg.Logger.Error("the admin listener broke", "err", err)
	}
}

// Stop closes the listener. Answers under way, which check their context while they wait, have a
// moment to end.
func (a *Admin) Stop() {
	if a == nil {
		return
	}
	a.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		_ = a.http.Close()
	}
	a.sampler.Stop()
	a.running.Wait()
}

// Announce logs the address of the listener.
func (a *Admin) Announce() {
	if a == nil {
		return
	}
	addr := a.ln.Addr()
	a.cfg.Logger.Info("health, metrics and profiles are on the admin listener", "admin_addr", addr.String())
	if !localPeer(addr) && a.cfg.Key == "" {
		a.cfg.Logger.Warn("the admin listener is not on loopback, and has no authentication: let only operators reach it, or set -admin-key",
			"admin_addr", addr.String())
	}
	if !localPeer(addr) && a.sampler.busiest != nil {
		a.cfg.Logger.Warn("everybody who reaches the admin listener sees names of channels: -admin-channels is set", "admin_addr", addr.String())
	}
}

// localPeer reports whether addr is on this machine.
func localPeer(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// Addr returns its address, or nil for a nil Admin.
func (a *Admin) Addr() net.Addr {
	if a == nil {
		return nil
	}
	return a.ln.Addr()
}

// whatAdminHas is the page at / for all but browsers.
const whatAdminHas = `/               for browsers: charts of the last 15 minutes
/healthz        200 while the process and all its event loops are alive, else 503
/readyz         200 while this node should be sent clients, else 503 and why not
/metrics        for Prometheus
/stats          the same as JSON
/events         the stream of the live page
/debug/pprof/   profiles
/openapi.json   describes what follows; docs/admin-api.md too
/channels       channels and their members
/connections    connections
/kick           POST: close connections
/unsubscribe    POST: end memberships
/log-level      POST: change the level of the log
/drain          POST: tell the clients to reconnect; DELETE: let them connect again
/reload         POST: read the configuration again
`

// handler handles every request. Only those of package api can change something: other methods
// than GET and HEAD get 405 elsewhere. The command line, which pprof would show, may hold a key.
func (a *Admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", root)
	mux.HandleFunc("GET /live/{file}", live.File)
	mux.HandleFunc("GET /events", a.board.Events)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", metricsHandler(a.cfg.Metrics, a.cfg.Logger))
	mux.Handle("GET /stats", statsHandler(a.cfg.Metrics))
	for path, handle := range map[string]http.HandlerFunc{
		"": pprof.Index, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET /debug/pprof/"+path, a.api.Guard(api.Profiles, handle))
	}
	a.api.Handle(mux)
	mux.HandleFunc("/", nowhere)
	return mux
}

// nowhere answers requests for paths that there are not, and for methods that no other page takes.
func nowhere(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		api.RefuseMethod(w, "GET, HEAD")
		return
	}
	say(w, http.StatusNotFound, "not found; there is\n"+whatAdminHas)
}

// root answers with the live page if a browser asks, and with a list otherwise.
func root(w http.ResponseWriter, r *http.Request) {
	if live.Wanted(r) {
		live.Page(w, r)
		return
	}
	w.Header().Set("Vary", "Accept")
	say(w, http.StatusOK, whatAdminHas)
}

// say writes status and a plain text body.
func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
