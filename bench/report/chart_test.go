package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

func TestAScaleHoldsItsValuesAndHasMarks(t *testing.T) {
	for _, c := range [][2]float64{
		{0, 0}, {0, 1}, {1, 1}, {5, 17}, {0.001, 0.9}, {145, 72500}, {2, 1200}, {-3, 8}, {-8, -3}, {1e-9, 1e9}, {999.9, 1000}, {1, 1e6}, {10, 10000},
	} {
		s := scaleFor(c[0], c[1], "us")
		if s.min > c[0] || s.max < c[1] || s.min >= s.max {
			t.Errorf("%v: from %v to %v", c, s.min, s.max)
		}
		if s.log && s.min <= 0 {
			t.Errorf("%v: logarithmic from %v", c, s.min)
		}
		labelled := 0
		for _, tick := range s.ticks {
			if tick.Label != "" {
				labelled++
			}
			if tick.Value < s.min*(1-1e-9)-1e-12 && s.min > 0 || tick.Value > s.max*(1+1e-9)+1e-12 && s.max > 0 {
				t.Errorf("%v: a mark at %v outside of %v to %v", c, tick.Value, s.min, s.max)
			}
		}
		if labelled < 2 || labelled > 20 {
			t.Errorf("%v: %d marks have labels", c, labelled)
		}
	}
}

func TestAScaleOverDecadesIsLogarithmicUnlessItStartsAtZero(t *testing.T) {
	if s := scaleFor(1, 100, "B"); !s.log {
		t.Error("1 to 100 is linear")
	}
	if s := scaleFor(0, 100, "B"); s.log {
		t.Error("0 to 100 is logarithmic")
	}
}

// curvesOf is a group of one curve over xs, all values v.
func curvesOf(v float64, xs ...float64) *curveGroup {
	g := &curveGroup{scenario: "s", unit: "us"}
	for _, x := range xs {
		f := one("s", "wsify", "n", "us", v)
		f.X = &x
		g.add(&f)
	}
	return g
}

func TestEdgesOfWhatCanBeDrawn(t *testing.T) {
	for name, g := range map[string]*curveGroup{
		"one point":      curvesOf(3, 7),
		"one at zero":    curvesOf(0, 0),
		"all the same":   curvesOf(5, 1, 2, 3),
		"all zero":       curvesOf(0, 1, 10, 100),
		"negative x":     curvesOf(1, -5, 5),
		"zero and decad": curvesOf(1, 0, 1, 1000),
		"huge":           curvesOf(1e12, 1, 1e12),
	} {
		svg, err := g.chart("x").draw()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Errorf("%s: a coordinate is no number", name)
		}
	}
}

func TestRarePercentilesAreDrawnOnlyWhenThereIsNothingElse(t *testing.T) {
	g := &curveGroup{}
	for _, name := range []string{"a: p50", "a: p99", "a: p99.9", "a: max"} {
		f := one("s", "wsify", name, "us", 1)
		f.X = new(float64)
		g.add(&f)
	}
	if n := len(g.drawn()); n != 2 {
		t.Errorf("%d curves are drawn, want 2", n)
	}
	g.curves = g.curves[3:]
	if n := len(g.drawn()); n != 1 {
		t.Errorf("of max alone %d curves are drawn, want 1", n)
	}
}

// named is a group of curves with these names, of wsify unless SERVER: stands before it.
func named(t *testing.T, unit string, names ...string) []*curveGroup {
	t.Helper()
	r := new(record)
	for i, name := range names {
		server, rest, ok := strings.Cut(name, "|")
		if !ok {
			server, rest = "wsify", name
		}
		for x := range 3 {
			f := one("s", server, rest, unit, float64(1+i+x))
			at := float64(x)
			f.X = &at
			r.Figures = append(r.Figures, f)
		}
	}
	return curveGroups(r.Figures)
}

func TestLabelsLeaveOutWhatAllShare(t *testing.T) {
	for _, c := range []struct {
		names, labels []string
		shared        string
	}{
		{[]string{"CPU, window 1", "CPU, window 4"}, []string{"window 1", "window 4"}, "wsify, CPU"},
		{[]string{"floor|CPU, window 1", "CPU, window 1"}, []string{"wsify", "floor"}, "CPU, window 1"},
		{[]string{"paced: p50", "paced: p99"}, []string{"p50", "p99"}, "wsify, paced"},
		{[]string{"rate"}, []string{"rate"}, "wsify"},
		{[]string{"a, b", "c"}, []string{"a, b", "c"}, "wsify"},
	} {
		g := named(t, "x", c.names...)[0]
		for i, curve := range g.curves {
			if got := g.label(curve); got != c.labels[i] {
				t.Errorf("%q: label %q, want %q", c.names, got, c.labels[i])
			}
		}
		if got := g.shared(); got != c.shared {
			t.Errorf("%q: shared %q, want %q", c.names, got, c.shared)
		}
	}
}

func TestACrowdedChartBecomesSeveral(t *testing.T) {
	groups := named(t, "B", "RSS, a", "RSS, b", "RSS, c", "kernel, a", "kernel, b", "kernel, c", "other")
	if len(groups) != 3 || groups[0].stem != "RSS" || groups[1].stem != "kernel" || groups[2].stem != "other" {
		t.Fatalf("%d charts", len(groups))
	}
	if groups[0].file("curve-x") == groups[1].file("curve-x") {
		t.Error("two charts have one name")
	}
	if n := len(named(t, "B", "RSS, a", "RSS, b", "kernel, a")); n != 1 {
		t.Errorf("three curves are in %d charts", n)
	}
}

func TestAServerHasTheSameColourEverywhereAndNoTwoShareOne(t *testing.T) {
	names := []string{"wsify", "nbio", "gws", "gobwas", "coder/websocket", "gorilla", "floor", "uWebSockets", "wsify v3", "Centrifugo", "wsify, one loop", "unknown"}
	all := colorsOf(names)
	seen := make(map[any]string)
	for _, name := range names {
		if other, ok := seen[all[name]]; ok {
			t.Errorf("%s and %s share a colour", name, other)
		}
		seen[all[name]] = name
	}
	if colorsOf([]string{"gws"})["gws"] != all["gws"] {
		t.Error("gws has another colour when it is alone")
	}
}

func TestNothingOfTheLegendIsCutOff(t *testing.T) {
	h := header{}
	for range 9 {
		h.entries = append(h.entries, entry{label: strings.Repeat("long ", 6)})
	}
	for _, row := range h.rows(chartWidth - 2*margin) {
		width := margin
		for _, e := range row {
			width += e.width()
		}
		if width > chartWidth {
			t.Errorf("a row of %d entries is %v wide", len(row), width)
		}
	}
}

func TestNumbersHaveThreeDigitsAndTheirUnit(t *testing.T) {
	for _, c := range []struct {
		v          float64
		unit, want string
	}{
		{142.5408, "B", "143 B"}, {1900, "B", "1.90 KB"}, {72500, "B", "72.5 KB"}, {25276514304, "B", "25.3 GB"},
		{1200, "MB", "1.20 GB"}, {24, "MB", "24 MB"}, {0.85, "ratio", "0.850"}, {56, "us", "56 us"}, {3_200_000, "us", "3.20 s"},
		{1234567, "deliveries/s", "1,234,567 deliveries/s"}, {-1234.5, "x", "-1,234 x"}, {0, "B", "0 B"}, {7.25, "CPU us per delivery", "7.25 CPU us per delivery"},
	} {
		if got := quantity(c.v, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	for v, want := range map[float64]string{0.30000000000000004: "0.3", 20000: "20 ms", 1: "1"} {
		unit := ""
		if math.Abs(v) > 1000 {
			unit = "us"
		}
		if got := tickLabel(v, unit); got != want {
			t.Errorf("mark at %v: %q, want %q", v, got, want)
		}
	}
}

var _ plot.GlyphBoxer = (*barPlotter)(nil)
