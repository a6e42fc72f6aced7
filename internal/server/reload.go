package server

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"wsify/internal/operate/api"
)

// Reloaded says what a reload found.
type Reloaded = api.Reloaded

// Rereading is a configuration that was read again.
type Rereading struct {
	Reloaded
	Config   Config
	LogLevel slog.Level
}

// ErrNoReread is the error of Reload without Config.Reread.
var ErrNoReread = errors.New("this server has no configuration to read again")

// Reload reads the configuration again and puts the settings in force that a running server can
// change. After an error nothing is changed. No connection is ended. Both outcomes are logged.
func (srv *Server) Reload() (Reloaded, error) {
	srv.reloading.Lock()
	defer srv.reloading.Unlock()
	if srv.cfg.Reread == nil {
		return Reloaded{}, ErrNoReread
	}
	next, err := srv.cfg.Reread()
	if err != nil {
		srv.log.Error("the configuration was not reloaded, nothing is changed", "err", err)
		return Reloaded{}, err
	}
	c := &next.Config
	key, random := c.key()
	if random && srv.random { // the key of this run stays
		key, random = srv.key, false
	}
	srv.key, srv.random = key, c.BroadcastingKey == "" && !c.BroadcastOpen
	srv.node.Reload(c.settings(key))
	if !srv.leaving.Load() { // the service manager was told how long the shutdown takes
		srv.delay.Store(int64(c.ShutdownDelay))
		srv.drain.Store(int64(c.DrainTimeout))
	}
	if level := srv.cfg.LogLevel; level != nil {
		if level.Level() != next.LogLevel && !slices.Contains(next.Changed, "-log-level") { // an operator had changed it
			next.Changed = append(next.Changed, "-log-level")
		}
		level.Set(next.LogLevel)
	}
	srv.log.Info("the configuration was reloaded", "changed", next.Changed, "needs_restart", next.Restart)
	if random {
		srv.announceKey(key, true)
	}
	return next.Reloaded, nil
}

// drainTimeout and shutdownDelay return the values in force.
func (srv *Server) drainTimeout() time.Duration  { return time.Duration(srv.drain.Load()) }
func (srv *Server) shutdownDelay() time.Duration { return time.Duration(srv.delay.Load()) }

// StopTimeout is how long Run may go on after its context has ended.
func (srv *Server) StopTimeout() time.Duration { return srv.shutdownDelay() + srv.drainTimeout() }

// Drain makes this node refuse new clients, and tells those that are connected to reconnect, at an
// even pace over Config.DrainTimeout. It does not wait. The node is not ready until Undrain, but
// goes on: backends may publish. Drain reports false if the node is drained already.
func (srv *Server) Drain() bool {
	timeout := srv.drainTimeout()
	began := srv.node.Drain(timeout)
	if began {
		srv.log.Info("draining: clients are told to reconnect, and new ones are refused", "connections", srv.node.Connections(), "timeout", timeout.String())
	}
	return began
}

// Undrain lets clients connect again after Drain. It reports false if the node is not drained, or
// shuts down.
func (srv *Server) Undrain() bool {
	ended := !srv.leaving.Load() && srv.node.Undrain()
	if ended {
		srv.log.Info("the drain has ended: clients may connect again", "connections", srv.node.Connections())
	}
	return ended
}

// leave shuts the server down: it is not ready, but serves as before, for Config.ShutdownDelay, so
// that balancers stop sending clients here. Then comes the Shutdown.
func (srv *Server) leave() error {
	srv.leaving.Store(true)
	if delay := srv.shutdownDelay(); delay > 0 {
		srv.log.Info("not ready: the shutdown begins after the delay", "delay", delay.String())
		select {
		case <-time.After(delay):
		case err := <-srv.node.Failed():
			return errors.Join(err, srv.Shutdown())
		}
	}
	return srv.Shutdown()
}
