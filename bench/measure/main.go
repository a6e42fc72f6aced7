//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 when everything was measured, 1 when something
// failed, 2 for a wrong command line. A missed goal is no failure.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "measure:", err)
		return 2
	}
	if o.role.role != "" {
		err = runRole(o.role)
	} else {
		err = measure(o, args, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "measure:", err)
		return 1
	}
	return 0
}

// bench is one run of the generator.
type bench struct {
	options
	self     string // this program, to start floors from
	children *children
	sources  *sources
	record   *record
	progress io.Writer
	headSize int // bytes of the server's answer to a handshake
}

// spareFiles is how many descriptors generator and server need beside connections.
const spareFiles = 100

// scenario is one thing to measure, on a server of its own.
type scenario struct {
	name string
	run  func(b *bench) error
	rare bool // runs only when -run names it
}

func scenarios() []scenario {
	return []scenario{
		{name: "idle", run: (*bench).idle},
		{name: "fanout", run: (*bench).fanout},
		{name: "echo", run: (*bench).echo},
		{name: "handshake", run: (*bench).upgrades},
		{name: "burst", run: (*bench).burst},
		{name: "authorizer", run: (*bench).authorizer},
		{name: "million", run: (*bench).million, rare: true},
	}
}

// usualScenarios are the names that -run has by default.
func usualScenarios() []string {
	var names []string
	for _, s := range scenarios() {
		if !s.rare {
			names = append(names, s.name)
		}
	}
	return names
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// measure runs the scenarios asked for. A scenario that fails does not keep the
// others from running, a signal or the timeout does.
func measure(o options, args []string, stdout, stderr io.Writer) error {
	b, err := newBench(o, args, stderr)
	if err != nil {
		return err
	}
	defer b.children.killAll()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("-timeout %v is over", o.timeout))
	defer cancel()
	b.record.Commit = cmp.Or(o.commit, commit(ctx))
	printHead(stdout, b.record)

	start := time.Now()
	finished := make(chan error, 1)
	go func() { finished <- b.runAll(ctx, stdout) }()
	select {
	case err = <-finished:
	case <-ctx.Done():
		// Scenarios wait in system calls. They fail when their processes are
		// gone, but nobody has to wait for that.
		return fmt.Errorf("stopped after %v: %w", time.Since(start).Round(time.Millisecond), context.Cause(ctx))
	}
	b.record.Duration = time.Since(start).Round(time.Millisecond).String()
	if o.json != "" {
		err = errors.Join(err, b.record.write(o.json))
	}
	return err
}

func newBench(o options, args []string, progress io.Writer) (*bench, error) {
	if err := raiseFiles(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := o.checkRecord(); err != nil {
		return nil, err
	}
	m := thisMachine()
	most := max(o.connections, o.handshakes, o.slowConnections+o.probes, o.echoConnections)
	if need := uint64(most) + spareFiles; m.Files < need {
		return nil, fmt.Errorf("%d connections need %d descriptors, the hard limit is %d", most, need, m.Files)
	}
	return &bench{
		options: o, self: self, children: new(children), sources: newSources(), progress: progress,
		record: &record{Date: time.Now().UTC(), Command: args, Machine: m, Server: o.server, Notes: o.remarks(), Failures: []string{}},
	}, nil
}

// runAll runs the scenarios in the order of -run and prints each when it is done.
func (b *bench) runAll(ctx context.Context, stdout io.Writer) error {
	var errs []error
	for _, name := range b.scenarios() {
		for _, s := range scenarios() {
			if s.name != name || ctx.Err() != nil {
				continue
			}
			b.record.scenario = name
			err := s.run(b)
			if ctx.Err() != nil {
				return ctx.Err() // children were killed under it: its figures say nothing
			}
			b.record.print(stdout, name)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				b.record.Failures = append(b.record.Failures, err.Error())
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func printHead(w io.Writer, r *record) {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %d descriptors, load %s\n", m.CPU, m.Cores, m.Kernel, m.Files, m.Load)
	fmt.Fprintf(w, "server %s, commit %s, generator %s, %s\n", r.Server, r.Commit, m.Go, r.Date.Format(time.RFC3339))
	fmt.Fprintf(w, "measure %s\n", strings.Join(r.Command, " "))
}

// step tells on the progress output where a scenario is.
func (b *bench) step(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s: %s\n", b.record.scenario, fmt.Sprintf(format, args...))
}
