package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"wsify/bench/internal/record"
	"wsify/bench/internal/runner"
	"wsify/bench/internal/scenario"
)

func runScenarios(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	o.register(set, false)
	if code, ok := parse(set, args, 0, 0, stdout, stderr); !ok {
		return code
	}
	if err := o.check(set); err != nil {
		return complain(stderr, err)
	}
	return measure(ctx, &o, stdout, stderr)
}

func measure(ctx context.Context, o *options, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, errors.New("-timeout is over"))
	defer cancel()
	o.Log = stderr
	var before map[string]float64
	if o.Metrics != "" {
		var err error
		if before, err = runner.ReadMetrics(o.Metrics); err != nil {
			return complain(stderr, fmt.Errorf("-metrics: %w", err))
		}
	}
	var r *record.Record
	var err error
	if o.ramp != "" {
		r, err = runner.Ramp(ctx, o.Config, o.ramp, o.p99)
	} else {
		r, err = runner.Run(ctx, o.Config)
	}
	if r == nil {
		fmt.Fprintln(stderr, "wsbench:", err)
		return exitFailed
	}
	after, bad := runner.ReadMetrics(o.Metrics)
	if lines := runner.Grown(before, after); o.Metrics != "" && bad == nil && len(lines) > 0 {
		r.Notes = append(r.Notes, record.Note{Scenario: "metrics", Text: "the server counted " + strings.Join(lines, ", ")})
	}
	code := show(r, o, stdout, stderr)
	if code == exitMeasured && o.Compare && worse(r) {
		code = exitWorse
	}
	return code
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("compare", flag.ContinueOnError)
	o.register(set, true)
	if code, ok := parse(set, args, 2, 2, stdout, stderr); !ok {
		return code
	}
	o.Contenders = []scenario.Contender{{Name: "new", Command: []string{set.Arg(1)}}, {Name: "old", Command: []string{set.Arg(0)}}}
	if err := o.check(set); err != nil {
		return complain(stderr, err)
	}
	o.Compare = true
	if !o.given["run"] {
		o.Scenarios = slices.DeleteFunc(o.Scenarios, func(s *scenario.Scenario) bool {
			return !slices.Contains([]string{"connect", "fanout", "mesh", "echo", "http", "idle"}, s.Name)
		})
	}
	return measure(ctx, &o, stdout, stderr)
}

// worse reports whether a goal was missed.
func worse(r *record.Record) bool {
	return slices.ContainsFunc(r.Figures, func(f record.Figure) bool { return f.Verdict == record.Missed })
}
