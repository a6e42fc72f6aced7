//go:build linux

// Command wsbench loads WebSocket servers and says what they cost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"wsify/bench/internal/floor"
	"wsify/bench/internal/record"
	"wsify/bench/internal/report"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/table"
	"wsify/bench/internal/worker"
)

// Exit codes.
const (
	exitMeasured = 0
	exitFailed   = 1 // something could not be measured
	exitUsage    = 2
	exitWorse    = 3 // compare has found something worse
)

const usage = `wsbench loads WebSocket servers and says what they cost.

  wsbench run [flags]               run scenarios against ./bin/wsify, others, or a deployment
  wsbench compare [flags] OLD NEW   two builds of wsify in turn, and a verdict
  wsbench report [-out DIR] RECORD… make REPORT.md and report.html of records
  wsbench worker [-listen ADDR]     make load for a coordinator on another machine
  wsbench list                      the scenarios

wsbench run -help lists the flags. Exit codes: 0 measured, 1 something could not be, 2 wrong
use, 3 something is worse.

  wsbench run -quick                                      everything in small: does it work?
  wsbench run -run fanout -vary content=64,1024,16384     a curve
  wsbench run -against "nbio=bin/peers/nbio {addr}"       two servers in turn
  wsbench run -target wss://host/ws -workers a:7000,b:7000 -run echo,fanout -metrics http://host:3001/metrics
  wsbench run -target ws://host/ws -run fanout -ramp connections -p99 100ms
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	command, args := args[0], args[1:]
	switch command {
	case "run":
		return runScenarios(ctx, args, stdout, stderr)
	case "compare":
		return compare(ctx, args, stdout, stderr)
	case "report":
		return makeReport(args, stdout, stderr)
	case "worker":
		return work(ctx, args, stderr)
	case "list":
		list(stdout)
		return exitMeasured
	case "floor": // for run -floor
		fmt.Fprintln(stderr, "wsbench:", floor.Serve(strings.Join(args, "")))
		return exitFailed
	case "help", "-help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return exitMeasured
	}
	fmt.Fprintf(stderr, "wsbench: there is no command %q\n\n%s", command, usage)
	return exitUsage
}

// parse parses flags. It reports false, with an exit code, when there is nothing to run.
func parse(set *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	set.SetOutput(io.Discard)
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(stdout)
		set.PrintDefaults()
		return exitMeasured, false
	case err != nil:
		fmt.Fprintf(stderr, "wsbench: %v\n", err)
		return exitUsage, false
	}
	return 0, true
}

// complain tells of wrong use.
func complain(stderr io.Writer, err error) int {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "wsbench: "+line)
	}
	return exitUsage
}

func list(w io.Writer) {
	for _, s := range scenario.All {
		var needs []string
		if s.Own {
			needs = append(needs, "starts the server itself")
		}
		if s.Asked {
			needs = append(needs, "runs when it is named")
		}
		fmt.Fprintf(w, "%-12s %s\n", s.Name, s.About)
		if len(needs) > 0 {
			fmt.Fprintf(w, "%-12s (%s)\n", "", strings.Join(needs, "; "))
		}
	}
}

func work(ctx context.Context, args []string, stderr io.Writer) int {
	set := flag.NewFlagSet("worker", flag.ContinueOnError)
	addr := set.String("listen", "", "`ADDR` to wait for coordinators on; without it one is served on standard input and output")
	if code, ok := parse(set, args, stderr, stderr); !ok {
		return code
	}
	serve := func() error { return worker.Serve(worker.Pipes{Reader: os.Stdin, WriteCloser: os.Stdout}) }
	if *addr != "" {
		serve = func() error { return worker.Listen(ctx, *addr, stderr) }
	}
	if err := serve(); err != nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return exitFailed
	}
	return exitMeasured
}

func makeReport(args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("report", flag.ContinueOnError)
	out := set.String("out", ".", "`DIR` that REPORT.md, report.html and charts are written to")
	if code, ok := parse(set, args, stdout, stderr); !ok {
		return code
	}
	if set.NArg() == 0 {
		return complain(stderr, errors.New("report: name one record or more"))
	}
	var records []*record.Record
	for _, path := range set.Args() {
		r, err := record.Read(path)
		if err != nil {
			return complain(stderr, err)
		}
		records = append(records, r)
	}
	if err := report.Write(*out, records); err != nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return exitFailed
	}
	return exitMeasured
}

// show writes a record to where it was asked for, and returns the exit code.
func show(r *record.Record, o *options, stdout, stderr io.Writer) int {
	if o.json {
		if err := r.Encode(stdout); err != nil {
			fmt.Fprintln(stderr, "wsbench:", err)
			return exitFailed
		}
	} else {
		table.Print(stdout, r, colored(stdout))
	}
	if o.out != "" {
		if err := r.Write(o.out); err != nil {
			fmt.Fprintln(stderr, "wsbench:", err)
			return exitFailed
		}
	}
	if len(r.Failures) > 0 {
		return exitFailed
	}
	return exitMeasured
}

// colored reports whether w is a terminal, and colour is wanted (no-color.org).
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
