package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"syscall"
	"time"

	"wsify/netpoll"
)

// Bounds on the connections of the admin listener.
const (
	adminReadTimeout  = 5 * time.Second  // a request
	adminWriteTimeout = 30 * time.Second // an answer, but for profiles: they take as long as they are asked to
	adminIdleTimeout  = 90 * time.Second // between requests; Prometheus asks every 15 to 60 s
	adminHead         = 8 << 10          // bytes of a request head
	adminGrace        = time.Second      // for answers under way when the server has ended
)

// admin is the listener for those who operate the server. It is served by net/http
// on goroutines of its own, so that it answers whatever the loops do. A nil admin
// does nothing.
type admin struct {
	srv     *Server
	alive   time.Duration // how long a loop may take to show that it is alive
	ln      net.Listener
	http    *http.Server
	cancel  context.CancelFunc // ends the requests under way
	running sync.WaitGroup     // serve
}

// startAdmin opens the admin listener, if there is to be one, and serves it.
func (srv *Server) startAdmin() error {
	if srv.cfg.AdminAddr == "" {
		return nil
	}
	ln, err := netpoll.OpenListener(srv.cfg.AdminAddr, srv.cfg.ListenMode)
	if err != nil {
		return adminError(err)
	}
	a := newAdmin(srv, aliveTimeout)
	a.ln = newAdminListener(ln, srv.maxAdmin)
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.http = &http.Server{
		Handler:     forLocalNames(ln.Addr(), a.handler()),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ReadTimeout: adminReadTimeout, WriteTimeout: adminWriteTimeout, IdleTimeout: adminIdleTimeout, MaxHeaderBytes: adminHead,
		ErrorLog: slog.NewLogLogger(srv.log.Handler(), slog.LevelDebug), // it is about strangers
	}
	srv.admin = a
	a.running.Go(a.serve)
	srv.sampler.start(srv.loops)
	return nil
}

// adminError says what to do about an address that cannot be listened on.
func adminError(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("-admin-addr: %w: a second node on this machine needs another one, such as 127.0.0.1:3002, or off", err)
	}
	return fmt.Errorf("-admin-addr: %w", err)
}

func newAdmin(srv *Server, alive time.Duration) *admin {
	return &admin{srv: srv, alive: alive, cancel: func() {}}
}

func (a *admin) serve() {
	if err := a.http.Serve(a.ln); !errors.Is(err, http.ErrServerClosed) {
		a.srv.log.Error("the admin listener broke", "err", err)
	}
}

// stop ends the listener. Answers under way, which look at their context when they
// wait for anything, have a moment to leave.
func (a *admin) stop() {
	if a == nil {
		return
	}
	a.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		_ = a.http.Close()
	}
	a.srv.sampler.stop()
	a.running.Wait()
}

// announce logs where the listener is.
func (a *admin) announce() {
	if a == nil {
		return
	}
	addr := a.ln.Addr()
	a.srv.log.Info("health, metrics and profiles are on the admin listener", "admin_addr", addr.String())
	if !localPeer(addr) {
		a.srv.log.Warn("the admin listener is not on loopback, and asks nobody who they are: let only those reach it who may see profiles",
			"admin_addr", addr.String())
	}
}

// localPeer reports whether the other end is on this machine.
func localPeer(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// AdminAddr is the address of the admin listener, nil when there is none.
func (srv *Server) AdminAddr() net.Addr {
	if srv.admin == nil {
		return nil
	}
	return srv.admin.ln.Addr()
}

// whatAdminHas is the page at /.
const whatAdminHas = `/healthz        200 while the process and all its event loops are alive, else 503
/readyz         200 while this node should be sent clients, else 503 and why not
/metrics        for Prometheus
/stats          the same as JSON
/debug/pprof/   profiles
`

// handler answers every request. Nothing can be changed through it: other methods
// than GET and HEAD get 405. The command line, which pprof would show, may hold a key.
func (a *admin) handler() http.Handler {
	metrics := newRegistry(a.srv)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, whatAdminHas) })
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", metricsHandler(metrics, a.srv.log))
	mux.Handle("GET /stats", statsHandler(metrics))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusNotFound, "not found; there is\n"+whatAdminHas)
	})
	return mux
}

// say sets status and a plain text body.
func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
