// Command wsbench loads WebSocket servers and says what they cost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/signal"
	"slices"
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

  wsbench run [flags]                run scenarios against ./bin/wsify, others, or a deployment
  wsbench compare [flags] OLD NEW    two builds of wsify in turn, and a verdict
  wsbench report [-out DIR] RECORD…  make REPORT.md and report.html of records
  wsbench worker [-listen ADDR]      make load for a coordinator on another machine
  wsbench list                       the scenarios

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
	context.AfterFunc(ctx, stop) // a second signal ends it at once
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
		return work(ctx, args, stdout, stderr)
	case "list":
		return list(args, stdout, stderr)
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

// parse parses flags, and so many arguments. It reports false, with an exit code, when there is nothing to run.
func parse(set *flag.FlagSet, args []string, least, most int, stdout, stderr io.Writer) (code int, ok bool) {
	set.SetOutput(io.Discard)
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, "Usage: %s\n", usageOf(set.Name()))
		set.SetOutput(stdout)
		set.PrintDefaults()
		return exitMeasured, false
	}
	if err == nil {
		err = misused(set, least, most)
	}
	if err != nil {
		return complain(stderr, err), false
	}
	return exitMeasured, true
}

// mayBeEmpty are flags whose value scripts may leave empty. That of -against is checked elsewhere.
var mayBeEmpty = []string{"server-args", "remark", "against"}

// misused tells of flags that are empty, and of arguments that are too few, too many, or flags.
func misused(set *flag.FlagSet, least, most int) (err error) {
	set.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" && !slices.Contains(mayBeEmpty, f.Name) {
			err = fmt.Errorf("-%s: it is empty; give it a value, or leave it out", f.Name)
		}
	})
	late := slices.IndexFunc(set.Args(), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch usage := usageOf(set.Name()); {
	case err != nil:
	case late >= 0:
		err = fmt.Errorf("%s stands behind an argument; flags come first: %s", set.Arg(late), usage)
	case set.NArg() > most:
		err = fmt.Errorf("unexpected argument %q: %s", set.Arg(most), usage)
	case set.NArg() < least:
		err = fmt.Errorf("an argument is missing: %s", usage)
	}
	return err
}

// usageOf is the line of the usage that tells of a command.
func usageOf(command string) string {
	_, line, _ := strings.Cut(usage, "  wsbench "+command+" ")
	line, _, _ = strings.Cut(line, "  ")
	return strings.TrimSpace("wsbench " + command + " " + line)
}

func complain(stderr io.Writer, err error) int {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "wsbench: "+line)
	}
	return exitUsage
}

func list(args []string, stdout, stderr io.Writer) int {
	if code, ok := parse(flag.NewFlagSet("list", flag.ContinueOnError), args, 0, 0, stdout, stderr); !ok {
		return code
	}
	for _, s := range scenario.All {
		fmt.Fprintf(stdout, "%-12s %s\n", s.Name, s.About)
		if s.Own {
			asked := map[bool]string{true: "; runs when it is named"}[s.Asked]
			fmt.Fprintf(stdout, "%-12s (starts the server itself%s)\n", "", asked)
		}
	}
	return exitMeasured
}

func work(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("worker", flag.ContinueOnError)
	addr := set.String("listen", "", "`ADDR` to wait for coordinators on; without it one is served on standard input and output")
	if code, ok := parse(set, args, 0, 0, stdout, stderr); !ok {
		return code
	}
	if *addr == "" && isTerminal(os.Stdin) {
		return complain(stderr, errors.New("worker: -listen HOST:PORT is missing; without it a coordinator on standard input is served, and that is a terminal"))
	}
	if _, _, err := net.SplitHostPort(*addr); *addr != "" && err != nil {
		return complain(stderr, fmt.Errorf("worker: -listen: %w; it has to be like 0.0.0.0:7000", err))
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
	if code, ok := parse(set, args, 1, math.MaxInt, stdout, stderr); !ok {
		return code
	}
	var records []*record.Record
	var files []os.FileInfo
	for _, path := range set.Args() {
		r, err := record.Read(path)
		if err != nil {
			return complain(stderr, err)
		}
		info, _ := os.Stat(path)
		if slices.ContainsFunc(files, func(f os.FileInfo) bool { return os.SameFile(f, info) }) {
			return complain(stderr, fmt.Errorf("report: %s is named twice", path))
		}
		files, records = append(files, info), append(records, r)
	}
	if err := report.Write(*out, records); err != nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return exitFailed
	}
	return exitMeasured
}

// show writes a record to where it was asked for, and returns the exit code.
func show(r *record.Record, o *options, stdout, stderr io.Writer) int {
	var err error
	if o.out != "" { // first: a reader of stdout that has ended, such as head, ends the program
		err = r.Write(o.out)
	}
	if o.json {
		err = errors.Join(err, r.Encode(stdout))
	} else {
		table.Print(stdout, r, colored(stdout))
	}
	if err != nil {
		fmt.Fprintln(stderr, "wsbench:", err)
	}
	if err != nil || len(r.Failures) > 0 {
		return exitFailed
	}
	return exitMeasured
}

// isTerminal reports whether f is one, or another device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colored reports whether w is a terminal, and colour is wanted (no-color.org).
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && isTerminal(f)
}
