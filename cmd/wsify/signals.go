//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"

	"wsify/internal/server"
)

// errSecondSignal means that a second signal ended the shutdown.
var errSecondSignal = errors.New("a second signal ended the shutdown")

// control is what signals do with a running server.
type control struct {
	stopping func(*server.Server) // called when the shutdown begins
	reload   func(*server.Server)
}

// serveUntil runs serve and returns its error. The first of signals ends serve's context, which
// begins the shutdown. After a second one serveUntil returns errSecondSignal at once, without
// waiting for serve: the caller has to exit. Of requests, SIGHUP reloads the configuration and
// SIGUSR1 drains, once started has the server; earlier ones wait for that.
func serveUntil(signals, requests <-chan os.Signal, started <-chan *server.Server, log *slog.Logger,
	serve func(ctx context.Context) error, do control) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx) }()
	var srv *server.Server
	var asked <-chan os.Signal // requests, once there is a server
	reloads := make(chan struct{}, 1)
	defer close(reloads)
	for {
		select {
		case srv = <-started:
			asked = requests
			go func() { // a file may be slow, and signals are not to wait for it
				for range reloads {
					do.reload(srv)
				}
			}()
		case s := <-asked:
			if s == syscall.SIGHUP {
				select {
				case reloads <- struct{}{}:
				default: // a reload that has not begun reads what this one would
				}
			} else if !srv.Drain() {
				log.Warn("SIGUSR1 changes nothing: this node is drained already")
			}
		case err := <-ended:
			return err
		case s := <-signals:
			if ctx.Err() != nil {
				log.Error("second signal, ending at once", "signal", s.String())
				return errSecondSignal
			}
			log.Info("signal received, shutting down; a second one ends at once", "signal", s.String())
			cancel()
			if srv != nil {
				do.stopping(srv)
			}
		}
	}
}
