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
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 when everything was measured, 1 when something
// failed, 2 for a wrong command line, 3 when -compare found something worse. A
// missed goal is no failure.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return 2
	}
	if o.role.role != "" {
		err = runRole(o.role)
	} else {
		err = measure(o, args, stdout, stderr)
	}
	switch {
	case errors.Is(err, errWorse):
		return 3
	case err != nil:
		fmt.Fprintln(stderr, "wsbench:", err)
		return 1
	}
	return 0
}

// bench is one run of the generator.
type bench struct {
	options
	contenders []contender // the tree first
	self       string      // this program, to start floors and agents from
	children   *children
	sources    *sources
	record     *record
	progress   *progress
}

// spareFiles is how many descriptors generator and server need beside connections.
const spareFiles = 100

// scenario is one thing to measure, on servers of its own.
type scenario struct {
	name  string
	run   func(b *bench) error
	asked bool // it runs only when -run names it
}

func scenarios() []scenario {
	return []scenario{
		{name: "idle", run: (*bench).idle},
		{name: "connect", run: (*bench).connect},
		{name: "storm", run: (*bench).storm},
		{name: "fanout", run: (*bench).fanout},
		{name: "mesh", run: (*bench).mesh},
		{name: "echo", run: (*bench).echo},
		{name: "http", run: (*bench).http},
		{name: "burst", run: (*bench).burst},
		{name: "slow", run: (*bench).slow},
		{name: "slowloris", run: (*bench).slowloris},
		{name: "talkers", run: (*bench).talking},
		{name: "churn", run: (*bench).churn},
		{name: "authorizer", run: (*bench).authorizer},
		{name: "drain", run: (*bench).drain},
		{name: "million", run: (*bench).million, asked: true},
		{name: "nodes", run: (*bench).nodes, asked: true},
		{name: "engines", run: (*bench).engines, asked: true},
		{name: "subscriptions", run: (*bench).subscriptions, asked: true},
		{name: "pings", run: (*bench).pings, asked: true},
	}
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// defaultNames are the scenarios that run when -run is not given.
func defaultNames() []string {
	var names []string
	for _, s := range scenarios() {
		if !s.asked {
			names = append(names, s.name)
		}
	}
	return names
}

// measure runs the scenarios asked for. A scenario that fails does not keep the
// others from running, a signal or the timeout does. What was found goes to the record
// in any case.
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
	go func() { finished <- b.runValues(ctx, args, stdout) }()
	select {
	case err = <-finished:
	case <-ctx.Done():
		err = fmt.Errorf("stopped after %v: %w", time.Since(start).Round(time.Millisecond), context.Cause(ctx))
		b.stop(err, finished)
	}
	b.record.Duration = time.Since(start).Round(time.Millisecond).String()
	if o.json != "" {
		err = errors.Join(err, b.record.write(o.json))
	}
	if o.compare && err == nil {
		err = b.record.compare(stdout, b.contenders[1].name)
	}
	return err
}

// stopPatience is how long a scenario may take to fail whose processes are gone.
const stopPatience = 3 * time.Second

// stop ends a run before its time. The record keeps what was found until then.
// Scenarios wait in system calls: they fail when their processes are gone, but nobody
// has to wait long for that.
func (b *bench) stop(why error, finished <-chan error) {
	b.record.end(why.Error())
	b.children.killAll()
	select {
	case <-finished:
	case <-time.After(stopPatience):
	}
	b.progress.clear()
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
	b := &bench{
		options: o, self: self, children: new(children), sources: newSources(), progress: newProgress(progress),
		record: &record{Date: time.Now().UTC(), Command: args, Machine: m, Notes: o.remarks(), Failures: []string{}},
	}
	if b.contenders, err = o.enlist(); err != nil {
		return nil, err
	}
	for _, c := range b.contenders {
		b.record.Servers = append(b.record.Servers, entrant{Name: c.name, Command: strings.Join(c.command, " ")})
	}
	if _, err := exec.LookPath(b.server); err != nil {
		return nil, fmt.Errorf("-server: %w; go build -o bin/ ./cmd/wsify makes the one of this tree", err)
	}
	return b, b.fit(m.Files)
}

// fit checks the descriptor limit. A server that this program starts has the same
// one; what is beyond it in the generator goes to agents.
func (b *bench) fit(files uint64) error {
	alone := max(b.handshakes, b.slowConnections+b.probes, b.halves+b.probes, b.echoConnections, b.httpConnections,
		b.many.connections, b.many.publishers, b.many.subscribers) // which one process makes
	if need := uint64(max(alone, b.connections)) + spareFiles; files < need {
		return fmt.Errorf("%d connections need %d descriptors, the hard limit is %d", need-spareFiles, need, files)
	}
	if b.perProcess == 0 {
		b.perProcess = int(files) - spareFiles
	}
	return nil
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
			b.progress.begin(name)
			since := b.record.mark()
			err := s.run(b)
			if ctx.Err() != nil {
				return ctx.Err() // children were killed under it: its figures say nothing
			}
			b.progress.clear()
			b.record.print(stdout, since)
			if err != nil {
				err = fmt.Errorf("%s%s: %w", name, b.record.at(), err)
				b.record.fail(err.Error())
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func printHead(w io.Writer, r *record) {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %d descriptors, load %s\n", m.CPU, m.Cores, m.Kernel, m.Files, m.Load)
	for _, s := range r.Servers {
		fmt.Fprintf(w, "server %s: %s\n", s.Name, s.Command)
	}
	fmt.Fprintf(w, "commit %s, generator %s, %s\n", r.Commit, m.Go, r.Date.Format(time.RFC3339))
	fmt.Fprintf(w, "wsbench %s\n", strings.Join(r.Command, " "))
}
