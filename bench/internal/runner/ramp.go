package runner

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
)

// Ramp answers what a deployment can hold: it runs a scenario with more and more of something, connections or
// rate, until a p99 is above limit or it fails, and then looks for the most between the last two steps.
func Ramp(ctx context.Context, cfg Config, what string, limit time.Duration) (*record.Record, error) {
	x, most := 5000.0, 1e9
	if what == "connections" {
		most = float64(cfg.Sizes.Connections)
		x = min(500, most)
	}
	cfg.Vary, cfg.Rounds = what, record.MinSamples
	r, err := begin(ctx, cfg)
	defer r.end(nil)
	if err != nil {
		return nil, err
	}
	good, bad := 0.0, 0.0 // the most that held, the least that did not
	for x > 0 {
		r.Values = []Value{{X: x}}
		before := len(r.rec.Failures)
		r.scenario(cfg.Scenarios[0])
		why, held := r.held(x, limit, r.rec.Failures[before:])
		if r.ctx.Err() != nil {
			break
		}
		fmt.Fprintf(cfg.Log, "%s %d: %s\n", what, int(x), why)
		if good > 0 || held { // that a step fails is then an answer
			r.rec.Failures = nil
		}
		if held {
			good = x
		} else {
			bad = x
		}
		x = next(x, good, bad, most)
	}
	rec := r.finish()
	rec.Notes = append(rec.Notes, record.Note{Scenario: cfg.Scenarios[0].Name, Text: conclusion(rec, what, limit, good, bad)})
	slices.SortStableFunc(rec.Figures, func(a, b record.Figure) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(*a.X, *b.X))
	})
	return rec, nil
}

// held reports whether a step held, and says why.
func (r *Runner) held(x float64, limit time.Duration, failed []string) (why string, ok bool) {
	worst := -1.0
	for _, f := range r.rec.Figures {
		if *f.X == x && strings.HasSuffix(f.Name, scenario.P99) {
			worst = max(worst, record.Summarize(f.Samples).Median)
		}
	}
	why = fmt.Sprintf("p99 %v", time.Duration(worst*1e9).Round(10*time.Microsecond))
	switch {
	case len(failed) > 0:
		return "it fails: " + failed[0], false
	case worst < 0:
		return "no p99 was measured", false
	case worst > limit.Seconds():
		return why + ", too much", false
	}
	return why + ", it holds", true
}

// next is the step after x, 0 when there is none.
func next(x, good, bad, most float64) float64 {
	switch {
	case bad == 0 && x < most:
		return min(2*x, most)
	case bad == 0, good == 0 && x <= scenario.MinConnections, good > 0 && bad/good <= 1.15:
		return 0
	case good == 0:
		return max(math.Trunc(x/2), scenario.MinConnections)
	}
	return math.Trunc((good + bad) / 2)
}

func conclusion(rec *record.Record, what string, limit time.Duration, good, bad float64) string {
	unit := map[string]string{"connections": "connections", "rate": "a second"}[what]
	text := fmt.Sprintf("with a p99 of %v at most it holds %d %s", limit, int(good), unit)
	switch {
	case good == 0 && bad == 0:
		text = "no step has ended"
	case good == 0:
		text = fmt.Sprintf("not even %d %s hold with a p99 of %v at most", int(bad), unit, limit)
	}
	if rec.Interrupted {
		return "interrupted: so far, " + text
	}
	if bad == 0 {
		text += ", the most that was tried (-connections)"
	}
	return text
}
