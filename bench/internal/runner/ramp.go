//go:build linux

package runner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
)

// Ramp answers what a deployment can hold: it runs a scenario with more and more of something, connections or
// rate, until a p99 is above limit or it fails, and then looks for the most between the last two steps.
func Ramp(ctx context.Context, cfg Config, what string, limit time.Duration) (*record.Record, error) {
	grow := func(x float64) Config {
		c := cfg
		c.Rounds = record.MinSamples
		c.Vary, c.Values = what, []string{fmt.Sprint(int(x))}
		return c
	}
	start := map[string]float64{"connections": 500, "rate": 5000}[what]
	var best *record.Record
	good, bad := 0.0, 0.0
	for x := start; bad == 0 || bad/good > 1.15; {
		rec, err := Run(ctx, grow(x))
		if err != nil {
			return nil, err
		}
		p99, ok := worstP99(rec)
		held := ok && p99 <= limit.Seconds() && len(rec.Failures) == 0
		fmt.Fprintf(cfg.Log, "%s %d: p99 %v, held: %t\n", what, int(x), time.Duration(p99*1e9).Round(10*time.Microsecond), held)
		if best == nil {
			best = rec
		} else {
			best.Figures = append(best.Figures, rec.Figures...)
		}
		switch {
		case ctx.Err() != nil:
			return best, context.Cause(ctx)
		case held:
			good = x
		default:
			bad = x
		}
		switch {
		case bad == 0:
			x *= 2
		case good == 0:
			x /= 2
		default:
			x = (good + bad) / 2
		}
		if x < 2 || good >= float64(cfg.Sizes.Connections) && what == "connections" {
			break
		}
	}
	text := fmt.Sprintf("with a p99 of %v at most it holds %d %s", limit, int(good), map[string]string{"connections": "connections", "rate": "a second"}[what])
	if bad == 0 {
		text += ", the most that was tried (-connections)"
	}
	best.Vary = what
	best.Failures = nil
	best.Notes = append(best.Notes, record.Note{Scenario: cfg.Scenarios[0].Name, Text: text})
	slices.SortStableFunc(best.Figures, func(a, b record.Figure) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(*a.X, *b.X))
	})
	return best, nil
}

// worstP99 is the largest of the medians of all p99 of a record.
func worstP99(r *record.Record) (worst float64, ok bool) {
	for _, f := range r.Figures {
		if strings.HasSuffix(f.Name, scenario.P99) {
			worst, ok = max(worst, f.Median), true
		}
	}
	return worst, ok
}
