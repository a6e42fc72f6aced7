//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"wsify/bench/internal/record"
	"wsify/bench/internal/runner"
	"wsify/bench/internal/scenario"
)

func runScenarios(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	o.register(set)
	if code, ok := parse(set, args, stdout, stderr); !ok {
		return code
	}
	if set.NArg() > 0 {
		return complain(stderr, fmt.Errorf("unexpected argument %q", set.Arg(0)))
	}
	cfg, err := o.config(set, stderr)
	if err != nil {
		return complain(stderr, err)
	}
	return measure(ctx, cfg, &o, stdout, stderr)
}

// measure runs and shows what was found.
func measure(ctx context.Context, cfg runner.Config, o *options, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, errors.New("-timeout is over"))
	defer cancel()
	var before map[string]float64
	if o.metrics != "" {
		var err error
		if before, err = runner.ReadMetrics(o.metrics); err != nil {
			return complain(stderr, fmt.Errorf("-metrics: %w", err))
		}
	}
	var r *record.Record
	var err error
	if o.ramp != "" {
		r, err = runner.Ramp(ctx, cfg, o.ramp, o.p99)
	} else {
		r, err = runner.Run(ctx, cfg)
	}
	if r == nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return exitFailed
	}
	if after, bad := runner.ReadMetrics(o.metrics); o.metrics != "" && bad == nil {
		lines := runner.Grown(before, after)
		slices.Sort(lines)
		r.Notes = append(r.Notes, record.Note{Scenario: "metrics", Text: "the server counted " + strings.Join(lines, ", ")})
	}
	code := show(r, o, stdout, stderr)
	if code == exitMeasured && cfg.Compare && worse(r) {
		code = exitWorse
	}
	return code
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("compare", flag.ContinueOnError)
	o.register(set)
	if code, ok := parse(set, args, stdout, stderr); !ok {
		return code
	}
	if set.NArg() != 2 {
		return complain(stderr, errors.New("compare: name the old and the new program"))
	}
	older, newer := set.Arg(0), set.Arg(1)
	for _, path := range []string{older, newer} {
		if _, err := os.Stat(path); err != nil {
			return complain(stderr, err)
		}
	}
	o.server = newer
	cfg, err := o.config(set, stderr)
	if err == nil && cfg.Target != nil {
		err = errors.New("compare: it starts both servers, and takes no -target")
	}
	if err != nil {
		return complain(stderr, err)
	}
	cfg.Compare = true
	cfg.Contenders[0].Name = "new"
	cfg.Contenders = []scenario.Contender{cfg.Contenders[0], {Name: "old", Command: []string{older}}}
	if !o.given["run"] {
		cfg.Scenarios = slices.DeleteFunc(cfg.Scenarios, func(s *scenario.Scenario) bool {
			return !slices.Contains([]string{"connect", "fanout", "mesh", "echo", "http", "idle"}, s.Name)
		})
	}
	return measure(ctx, cfg, &o, stdout, stderr)
}

// worse reports whether a goal was missed.
func worse(r *record.Record) bool {
	return slices.ContainsFunc(r.Figures, func(f record.Figure) bool { return f.Verdict == record.Missed })
}
