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
	"syscall"
	"time"

	"wsify/bench/internal/process"
)

const (
	exitFailed    = 1
	exitUsage     = 2
	exitMissing   = 3  // there is no tcpkali
	exitThreshold = 99 // k6's own
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "beside:", err)
		return exitUsage
	}
	err = compare(o, stdout, stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "beside:", err)
	switch {
	case errors.Is(err, errThreshold):
		return exitThreshold
	case errors.Is(err, errNoTCPKali):
		return exitMissing
	}
	return exitFailed
}

// bench is one run.
type bench struct {
	options
	children *process.Children
	scratch  string // a directory that goes at the end
	stdout   io.Writer
	stderr   io.Writer
}

// compare runs the tool, then wsbench, and prints the table.
func compare(o options, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("-timeout %v is over", o.timeout))
	defer cancel()
	scratch, err := os.MkdirTemp("", "wsify-beside")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b := &bench{options: o, children: new(process.Children), scratch: scratch, stdout: stdout, stderr: stderr}
	defer b.children.KillAll()

	err = b.runBoth(ctx)
	if ctx.Err() != nil { // what failed under a kill failed for that reason
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	return err
}

func (b *bench) runBoth(ctx context.Context) error {
	if _, err := os.Stat("bench/k6"); err != nil {
		return fmt.Errorf("run it from the directory of the module: %w", err)
	}
	t, err := b.findTool(ctx)
	if err != nil {
		return err
	}
	if err := b.buildServer(ctx); err != nil {
		return err
	}
	results, toolErr := b.runScripts(ctx, t)
	r, benchErr := b.runWSBench(ctx)
	if ctx.Err() == nil {
		b.print(t, results, r) // what one of them could not do does not take the rest away
	}
	return errors.Join(toolErr, benchErr)
}

// runScripts runs the tool's scripts one after another, each on a fresh server. One
// that fails does not keep the others from running.
func (b *bench) runScripts(ctx context.Context, t tool) (map[string]result, error) {
	results := make(map[string]result)
	var errs []error
	for _, script := range b.names(t.scripts()) {
		fmt.Fprintf(b.stderr, "%s: %s\n", t.name(), script)
		r, err := b.runScript(ctx, t, script)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", script, err))
		}
		if r.figures != nil {
			results[script] = r
		}
	}
	return results, errors.Join(errs...)
}

func (b *bench) runScript(ctx context.Context, t tool, script string) (result, error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return result{}, err
	}
	defer s.Kill()
	before, err := s.usage()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	r, toolErr := t.run(ctx, b, script, s)
	r.took = time.Since(start)
	after, err := s.usage()
	if err != nil {
		return r, s.Failure(errors.Join(toolErr, err))
	}
	r.serverCPU = after.cpu - before.cpu
	r.serverMemory = after.peak - before.memory
	return r, toolErr
}
