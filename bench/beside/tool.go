//go:build linux

package main

import (
	"context"
	"math"
	"time"
)

// tool is a load generator of others.
type tool interface {
	name() string
	scripts() []string

	// run runs one of the scripts against s.
	run(ctx context.Context, b *bench, script string, s *server) (result, error)

	// rows is what the table shows, by script, of a load with so many connections.
	rows(connections int) []row

	// notes is what a reader of the table has to know, one sentence each.
	notes(results map[string]result) []string
}

// result is what one script found.
type result struct {
	figures      map[string]float64 // by "name [unit]"; nil when it failed
	took         time.Duration
	toolCPU      time.Duration // of the generator
	serverCPU    time.Duration
	serverMemory int64 // RSS at most, over RSS before, in bytes
}

// row is one line of the table: a figure of the tool, and where our own generator's
// record has the one that is nearest to it.
type row struct {
	script, label, unit string
	value               func(r result) float64 // NaN when there is none
	ours                []origin               // the first that the record has
}

// origin is where a figure stands in a record of wsbench.
type origin struct{ scenario, name, unit string }

// figure returns a figure, scaled to the unit of its row.
func figure(key string, scale float64) func(result) float64 {
	return func(r result) float64 {
		v, ok := r.figures[key]
		if !ok {
			return math.NaN()
		}
		return v * scale
	}
}

// serverCPUPer returns the CPU of the server over the whole script per one of what
// key counts, in microseconds.
func serverCPUPer(key string) func(result) float64 {
	return func(r result) float64 { return perUnit(r.serverCPU, r.figures[key]) }
}

// toolCPUPer is the same for the generator.
func toolCPUPer(key string) func(result) float64 {
	return func(r result) float64 { return perUnit(r.toolCPU, r.figures[key]) }
}

func perUnit(spent time.Duration, count float64) float64 {
	if count == 0 {
		return math.NaN()
	}
	return float64(spent.Microseconds()) / count
}

func toolOf(name string) tool {
	if name == "k6" {
		return &k6{}
	}
	return &tcpkali{}
}

// findTool returns the tool, ready to run.
func (b *bench) findTool(ctx context.Context) (tool, error) {
	if b.tool == "k6" {
		return b.findK6(ctx)
	}
	return findTCPKali()
}
