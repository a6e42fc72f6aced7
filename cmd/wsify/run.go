//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"wsify/internal/server"
)

// What the program exits with.
const (
	exitOK      = 0
	exitFailure = 1 // the configuration is refused, or the server failed
	exitUsage   = 2 // the command line is wrong
)

// serveFunc is server.Run: it serves until ctx ends, then shuts down in order and
// returns nil.
type serveFunc func(ctx context.Context, cfg server.Config) error

// run is the program: it does what args, environ and the configuration file ask
// for, and returns what to exit with. Logs and complaints go to stderr, answers to
// stdout.
func run(args, environ []string, stdout, stderr io.Writer, serve serveFunc) int {
	env := environment(environ)
	c := newCommandLine()
	err := c.parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		writeHelp(stdout, c.settings)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "wsify: %v\nSee wsify -help for what there is.\n", err)
		return exitUsage
	case c.showVersion:
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintln(stdout, describe(info))
		return exitOK
	}
	if err := c.load(env); err != nil {
		complain(stderr, err)
		return exitFailure
	}
	if code, done := c.inspect(stdout, stderr); done {
		return code
	}
	tuneGC(env)
	defer spareProcessor(env, c.server.Loops)()
	return c.serve(stderr, serve)
}

// inspect checks the configuration and answers what is asked about it. done says
// that the program is to exit with code; else the server can start.
func (c *commandLine) inspect(stdout, stderr io.Writer) (code int, done bool) {
	err := c.server.Validate()
	if c.printConfig {
		writeConfig(stdout, c.settings)
	}
	switch {
	case err != nil:
		complain(stderr, err)
		return exitFailure, true
	case c.printConfig:
		return exitOK, true
	case c.checkConfig:
		fmt.Fprintln(stdout, "configuration ok")
		return exitOK, true
	}
	return exitOK, false
}

// serve runs the server until it ends or a signal does.
func (c *commandLine) serve(stderr io.Writer, serve serveFunc) int {
	log := newLogger(stderr, c.logLevel, c.logFormat)
	if c.server.BrokerDSN != "" && c.server.BrokerDriver == "memory" {
		log.Warn("-broker-dsn is set, and the broker does not use it", "broker", c.server.BrokerDriver)
	}
	info, _ := debug.ReadBuildInfo()
	c.server.Logger, c.server.Version = log, versionOf(info)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	err := serveUntil(signals, log, func(ctx context.Context) error { return serve(ctx, c.server) })
	if err != nil {
		fmt.Fprintf(stderr, "wsify: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return exitFailure
	}
	return exitOK
}

// complain writes one line for each problem in err.
func complain(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "wsify: %s\n", strings.TrimSuffix(line, "\n"))
	}
}
