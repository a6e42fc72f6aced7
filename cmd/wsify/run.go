//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"wsify/internal/logs"
	"wsify/internal/server"
	"wsify/internal/systemd"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // the configuration is invalid, or the server failed
	exitUsage   = 2 // the command line is wrong
)

// Commands are given as the first argument; the program then does not serve.
const (
	commandHealthcheck = "healthcheck"
	commandDoctor      = "doctor"
)

var commands = []string{commandHealthcheck, commandDoctor}

// serveFunc is the type of server.Run: it serves until ctx ends, then shuts down in order and
// returns nil.
type serveFunc func(ctx context.Context, cfg server.Config) error

// run is the program: it does what args, environ and the configuration file ask for, and returns
// the exit code. Logs and errors go to stderr, answers to stdout.
func run(args, environ []string, stdout, stderr io.Writer, serve serveFunc) int {
	env := environment(environ)
	c := newCommandLine()
	if len(args) > 0 && slices.Contains(commands, args[0]) {
		c.command, args = args[0], args[1:]
	}
	c.args, c.env = args, env
	misused := c.parse(args)
	switch {
	case errors.Is(misused, flag.ErrHelp):
		return answer(stdout, stderr, func(w io.Writer) { writeHelp(w, c.settings) })
	case misused == nil && c.showVersion:
		info, _ := debug.ReadBuildInfo()
		return answer(stdout, stderr, func(w io.Writer) { fmt.Fprintln(w, describe(info)) })
	}
	loaded := c.load(env)
	c.inForce, c.inFile = c.values()
	if c.command == commandHealthcheck {
		return c.healthcheck(misused, errors.Join(loaded, c.located(c.server.Validate())), stdout, stderr)
	}
	if code, done := c.inspect(misused, loaded, stdout, stderr); done {
		return code
	}
	if c.command == commandDoctor {
		return c.doctor(env, stdout, stderr)
	}
	if err := c.inherit(); err != nil {
		complain(stderr, err)
		return exitFailure
	}
	tuneGC(env)
	limitHeap(env, c.server.MaxMemory)
	defer spareProcessor(env, c.server.Loops)()
	return c.serve(stderr, serve)
}

// inspect checks the configuration and answers questions about it. misused and loaded are the
// problems of the command line and of the other sources, or nil. If done is true, the program has
// to exit with code; otherwise the server can start.
func (c *commandLine) inspect(misused, loaded error, stdout, stderr io.Writer) (code int, done bool) {
	err := errors.Join(misused, loaded, c.located(c.server.Validate()))
	if c.checkConfig {
		for _, w := range c.warnings() {
			fmt.Fprintf(stderr, "wsify: warning: %s: %s\n", w.text, w.value)
		}
	}
	if c.checkConfig || c.command == commandDoctor {
		if text := c.unlikeService(os.DirFS("/")); text != "" {
			fmt.Fprintf(stderr, "wsify: warning: %s\n", text)
		}
	}
	if c.printConfig {
		code = answer(stdout, stderr, func(w io.Writer) { writeConfig(w, c.settings) })
	}
	switch {
	case misused != nil:
		complain(stderr, err)
		fmt.Fprintln(stderr, "See wsify -help for what there is.")
		return exitUsage, true
	case err != nil:
		complain(stderr, err)
		return exitFailure, true
	case c.printConfig:
		return code, true
	case c.checkConfig:
		return answer(stdout, stderr, func(w io.Writer) { fmt.Fprintln(w, "configuration ok") }), true
	}
	return exitOK, false
}

// inherit finds the sockets that the service manager has passed. -check-config cannot, as only the
// server gets them.
func (c *commandLine) inherit() (err error) {
	if c.server.ListenAddrs, err = systemd.Inherited(c.server.ListenAddrs); err != nil {
		return fmt.Errorf("-listen-addr: %w", err)
	}
	switch admin, err := systemd.Inherited([]string{c.server.AdminAddr}); {
	case err != nil:
		return fmt.Errorf("-admin-addr: %w", err)
	case len(admin) > 1:
		return fmt.Errorf("-admin-addr: %s is the name of %d sockets; it has to be one", c.server.AdminAddr, len(admin))
	default:
		c.server.AdminAddr = admin[0]
	}
	return c.server.Validate() // a name and a number may be the same socket
}

// answer prints the answer and returns the exit code. A reader that has ended, such as head, is not
// an error.
func answer(stdout, stderr io.Writer, print func(w io.Writer)) (code int) {
	var text bytes.Buffer
	print(&text)
	if _, err := stdout.Write(text.Bytes()); err != nil && !errors.Is(err, syscall.EPIPE) {
		complain(stderr, err)
		return exitFailure
	}
	return exitOK
}

// serve runs the server until it ends or a signal ends it.
func (c *commandLine) serve(stderr io.Writer, serve serveFunc) int {
	lines := c.startLog(stderr)
	err := c.serveLogged(lines, serve)
	flush := flushTimeout
	if errors.Is(err, errSecondSignal) {
		flush = secondSignalFlush
	}
	if err != nil {
		fmt.Fprintf(lines, "wsify: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	lines.Close(flush)
	if err != nil {
		return exitFailure
	}
	return exitOK
}

// stopMargin is how much longer than the drain the shutdown may take: for the admin
// listener, the workers and the log.
const stopMargin = 10 * time.Second

func (c *commandLine) serveLogged(lines *logs.Writer, serve serveFunc) error {
	c.level.Set(c.logLevel)
	log := newLogger(lines, &c.level, c.logFormat)
	slog.SetDefault(log) // for packages that use Go's own logger
	for _, w := range c.warnings() {
		log.Warn(w.text, w.key, w.value)
	}
	info, _ := debug.ReadBuildInfo()
	c.server.Logger, c.server.LogDropped, c.server.Version = log, lines.Dropped, versionOf(info)
	c.server.LogLevel = &c.level
	c.server.Reread = func() (server.Rereading, error) { return c.reread(log) }
	manager := systemd.New(log)
	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	started := make(chan *server.Server, 1)
	c.server.Started = func(srv *server.Server) {
		manager.Ready()
		go manager.Watch(watching, srv.Alive)
		started <- srv
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	requests := make(chan os.Signal, 8)
	signal.Notify(requests, syscall.SIGHUP, syscall.SIGUSR1) // never undone, because the log is flushed later
	return serveUntil(signals, requests, started, log, func(ctx context.Context) error { return serve(ctx, c.server) }, control{
		stopping: func(srv *server.Server) { manager.Stopping(srv.StopTimeout() + stopMargin) },
		reload:   func(srv *server.Server) { manager.Reload(func() { _, _ = srv.Reload() }) },
	})
}

// briefly returns w with a write timeout, so that the program ends with its messages even when
// nobody reads them.
func briefly(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		_ = f.SetWriteDeadline(time.Now().Add(flushTimeout)) // on an error, f has no deadlines
	}
	return w
}

// complain writes one line for each problem in err.
func complain(w io.Writer, err error) {
	w = briefly(w)
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "wsify: %s\n", strings.TrimSuffix(line, "\n"))
	}
}
