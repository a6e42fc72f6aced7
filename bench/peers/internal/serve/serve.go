// Package serve is the outside of every peer: its command line, its listener, its
// signals and its exit codes.
package serve

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// Start begins to serve the connections of a listener and returns. Stop ends it.
// What goes wrong later is sent on failed.
type Start func(l net.Listener, failed chan<- error) (stop func(), err error)

// Main runs a peer until SIGTERM or SIGINT, and exits: with 0 then, with 1 when it
// cannot serve, with 2 for a wrong command line.
//
// The limit of descriptors needs no care: the Go runtime raises the soft one to
// the hard one at its start, and a test holds it to that.
func Main(name string, start Start) {
	os.Exit(run(name, os.Args[1:], os.Stderr, start))
}

func run(name string, args []string, stderr io.Writer, start Start) int {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(stderr)
	addr := set.String("listen-addr", "127.0.0.1:3000", "address to listen on, as `host:port`")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if err := serve(name, *addr, stderr, start); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func serve(name, addr string, stderr io.Writer, start Start) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err // it names operation and address
	}
	defer l.Close()
	failed := make(chan error, 1)
	stop, err := start(l, failed)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer stop()
	fmt.Fprintf(stderr, "%s: listening on %s\n", name, l.Addr())
	select {
	case <-signals:
		return nil
	case err := <-failed:
		return err
	}
}

// HTTP serves by net/http. Connections that were taken over are the handler's, and
// end with the process.
func HTTP(h http.Handler) Start {
	return func(l net.Listener, failed chan<- error) (func(), error) {
		s := &http.Server{Handler: h}
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
		return func() { s.Close() }, nil
	}
}
