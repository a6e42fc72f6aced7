//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
)

// errSecondSignal means that a second signal ended the shutdown.
var errSecondSignal = errors.New("a second signal ended the shutdown")

// serveUntil runs serve and returns its error. The first signal ends serve's context, which begins
// the shutdown. After a second signal serveUntil returns errSecondSignal at once, without waiting
// for serve: the caller has to exit. A hangup calls reload.
func serveUntil(signals, hangups <-chan os.Signal, log *slog.Logger, serve func(ctx context.Context) error, reload func()) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx) }()
	for {
		select {
		case <-hangups:
			reload()
		case err := <-ended:
			return err
		case s := <-signals:
			if ctx.Err() != nil {
				log.Error("second signal, ending at once", "signal", s.String())
				return errSecondSignal
			}
			cancel()
			log.Info("signal received, shutting down; a second one ends at once", "signal", s.String())
		}
	}
}
