package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// The cost of a delivery is compared with that among few: a guest whose processor is
// software has its own microseconds, and only the ratio says something beside ours.
const few = 10000

var (
	costOfFew   = "CPU, window 1"
	costOverFew = costOfFew + ", over the same at 10,000"
)

// correspondences pair figures of the curve over connections with those of a million.
var correspondences = []struct{ scenario, name, unit, million string }{
	{"idle", "RSS per connection, one channel for all", "B", "RSS of the server per connection"},
	{"idle", "kernel memory per connection, one channel for all", "B", "kernel memory per connection"},
	{"fanout", costOverFew, "ratio", "CPU per delivery over the same at 10,000"},
}

// extended are a curve's figures, and those of a million behind them.
type extended struct {
	figures []figure
	used    bool   // there is something of a million
	file    string // its record
	where   string // it was measured
}

// millionth ends the curve over connections with what corresponds in the record of a
// million. Other curves stay as they are, and so does one that goes as far by itself.
func (b *builder) millionth(kind string, r *record) extended {
	e := extended{figures: r.Figures}
	if kind != "curve-connections" {
		return e
	}
	e.figures = append(slices.Clone(e.figures), overFew(r)...)
	m := b.lib.kinds["million"]
	if m == nil {
		return e
	}
	e.file, e.where = m.file, m.place()
	at := m.connections()
	for _, c := range correspondences {
		for i := range m.Figures {
			f := m.Figures[i]
			curve := func(o figure) bool {
				return o.Scenario == c.scenario && o.Server == f.Server && o.Name == c.name && o.X != nil
			}
			beyond := func(o figure) bool { return curve(o) && *o.X >= at }
			if f.Scenario != "million" || f.Name != c.million || f.Unit != c.unit || !slices.ContainsFunc(e.figures, curve) || slices.ContainsFunc(e.figures, beyond) {
				continue
			}
			f.Scenario, f.Name, f.X, f.million = c.scenario, c.name, &at, true
			e.figures = append(e.figures, f)
			e.used = true
		}
	}
	return e
}

// overFew divides what a delivery costs at each x by what it costs among few.
func overFew(r *record) []figure {
	var all []figure
	for _, f := range r.Figures {
		if f.Scenario != "fanout" || f.Name != costOfFew || f.X == nil || isFloor(f.Server) {
			continue
		}
		base := r.at(f.Scenario, f.Server, f.Name, few)
		if base == nil || base.Median <= 0 {
			continue
		}
		v := f.Median / base.Median
		all = append(all, figure{
			Scenario: f.Scenario, Server: f.Server, Name: costOverFew, X: f.X, Unit: "ratio",
			Samples: []float64{v}, Median: v, Min: v, Max: v,
		})
	}
	return all
}

// connections is how many the record of a million had: what it counted, or else what
// it was asked for.
func (r *record) connections() float64 {
	for _, f := range r.Figures {
		if f.Scenario == "million" && f.Name == "live and joined at once" {
			return f.Median
		}
	}
	if i := slices.Index(r.Command, "-connections"); i >= 0 && i+1 < len(r.Command) {
		if n, err := strconv.ParseFloat(r.Command[i+1], 64); err == nil && n > 0 && !math.IsInf(n, 0) {
			return n
		}
	}
	return 1e6
}

// place says where a million was measured: its run notes it when that was a guest.
func (r *record) place() string {
	for _, n := range r.Notes {
		if strings.HasPrefix(n.Text, "in a guest") {
			return n.Text
		}
	}
	return "on " + r.Machine.String()
}

// endsInMillion tells whether a curve has a point from the record of a million.
func (c *curve) endsInMillion() bool {
	return slices.ContainsFunc(c.points, func(f *figure) bool { return f.million })
}
