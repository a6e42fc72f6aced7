//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// errWorse is the end of a run with -compare that found something worse.
var errWorse = errors.New("something is worse")

// Bounds of a verdict. Both servers were measured in the same rounds, so what the
// machine did meanwhile is mostly in both; these are above what two equal servers
// differed by.
const (
	worseBy  = 1.05 // median of the rounds' ratios
	agreeing = 0.8  // share of the rounds that have to be on the same side
	aloneBy  = 1.10 // with fewer than four rounds, all of them
	manyEven = 4
)

// comparable says whether a figure is one that should be low: CPU per operation and
// memory per connection. Rates and latencies move with the machine, and judge nothing.
func comparable(f figure) bool {
	return !f.Detail && (strings.HasPrefix(f.Unit, "CPU us") || strings.HasPrefix(f.Name, "RSS per connection"))
}

// pair is one figure of two servers, round by round.
type pair struct {
	figure
	base   figure
	ratios []float64 // tree over base
}

// pairs finds the figures that both the tree and the other server have.
func (r *record) pairs(base string) []pair {
	var all []pair
	for _, f := range r.Figures {
		if f.Server != r.Servers[0].Name || !comparable(f) {
			continue
		}
		for _, g := range r.Figures {
			if g.Server == base && g.Scenario == f.Scenario && g.Name == f.Name && same(g.X, f.X) {
				all = append(all, pair{f, g, ratios(f.Samples, g.Samples)})
			}
		}
	}
	return all
}

func same(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// verdict is "worse", "better" or "".
func (p pair) verdict() string {
	if len(p.ratios) == 0 {
		return ""
	}
	above, below := 0, 0
	for _, r := range p.ratios {
		if r > 1 {
			above++
		}
		if r < 1 {
			below++
		}
	}
	median, by, need := summarize(p.ratios).Median, worseBy, agreeing*float64(len(p.ratios))
	if len(p.ratios) < manyEven {
		by, need = aloneBy, float64(len(p.ratios))
	}
	switch {
	case median > by && float64(above) >= need:
		return "worse"
	case median < 1/by && float64(below) >= need:
		return "better"
	}
	return ""
}

// compare prints every figure of both servers and returns errWorse when one is.
func (r *record) compare(w io.Writer, base string) error {
	fmt.Fprintf(w, "\n%s over %s, round by round\n", r.Servers[0].Name, base)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  scenario\tfigure\tunit\t%s\t%s\tratio\tmin\tmax\t\n", base, r.Servers[0].Name)
	worse := 0
	all := r.pairs(base)
	for _, p := range all {
		s, verdict := summarize(p.ratios), p.verdict()
		if verdict == "worse" {
			worse++
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Scenario, p.Name, p.Unit,
			show(p.base.Median), show(p.Median), show(s.Median), show(s.Min), show(s.Max), verdict)
	}
	t.Flush()
	if len(all) == 0 {
		return errors.New("-compare: no figure was measured on both servers")
	}
	fmt.Fprintf(w, "%d of %d figures got worse\n", worse, len(all))
	if worse > 0 {
		return errWorse
	}
	if slices.Contains(r.leftOut, base) {
		return fmt.Errorf("-compare: %s failed in a scenario, which the notes name: not everything was compared", base)
	}
	return nil
}
