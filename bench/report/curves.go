package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const curvePrefix = "curve-"

// axis is the place of a kind of curve in the report.
type axis struct{ kind, title string }

// axes are the curves that the report has a place for even before they are measured.
var axes = []axis{
	{"curve-loops", "Event loops: `-loops`"},
	{"curve-shards", "Stripes of the table of channels: `-shards`"},
	{"curve-workers", "Calls to the authorizer at once: `-workers`"},
	{"curve-queue", "Calls to the authorizer that wait: `-queue`"},
	{"curve-connections", "Connections"},
	{"curve-content", "Size of what is published"},
}

// curve is what share scenario, server, name and unit.
type curve struct {
	server string
	family string // the name without its percentile
	rank   string // p50, p99, p99.9, max, or ""
	points []*figure
}

// curveGroup are the curves of one chart: one scenario, one unit.
type curveGroup struct {
	scenario, unit string
	stem           string // with which the names of them all begin, when a chart was split by it
	curves         []*curve
}

// crowded is how many curves a chart can show and still be read.
const crowded = 6

// ranked takes a name like "others alone: p99" apart.
var ranked = regexp.MustCompile(`^(.*): (p50|p99|p99\.9|max)$`)

func (b *builder) writeCurves(p *page) error {
	p.para("## 4. Curves")
	p.para("Points are medians, whiskers reach from the lowest to the highest sample. Percentiles above p99 are in the tables alone.")
	all := slices.Clone(axes)
	for _, kind := range sortedKeys(b.lib.kinds) {
		named := slices.ContainsFunc(axes, func(a axis) bool { return a.kind == kind })
		if strings.HasPrefix(kind, curvePrefix) && !named {
			all = append(all, axis{kind, plain(strings.TrimPrefix(kind, curvePrefix))})
		}
	}
	for _, a := range all {
		if err := b.writeCurve(p, a); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) writeCurve(p *page, a axis) error {
	p.para("### %s", a.title)
	r := b.lib.kinds[a.kind]
	if r == nil {
		p.missing("bench-curves")
		return nil
	}
	label := axisLabel(r.Vary)
	last := b.millionth(a.kind, r)
	groups := curveGroups(last.figures)
	if len(groups) == 0 {
		p.para("The record has no figure with an x.")
	}
	for _, g := range groups {
		if !g.flat() {
			svg, err := g.chart(label).draw()
			if err != nil {
				return fmt.Errorf("%s: %w", g.file(a.kind), err)
			}
			b.picture(p, g.file(a.kind), fmt.Sprintf("%s, %s against %s", g.scenario, measure(g.unit), label), svg)
		}
		g.table(p, label)
		p.para("Data: %s.", link(r.file, b.links))
	}
	p.cite(r, b.links)
	if last.used {
		p.para("‡ Not of this run: %s, from %s.", plain(last.where), link(last.file, b.links))
	}
	return b.remark(p, a.kind)
}

// curveGroups sorts the figures with an x into curves and charts, in the record's order.
func curveGroups(figures []figure) []*curveGroup {
	var groups []*curveGroup
	for i := range figures {
		f := &figures[i]
		if f.X == nil || f.Detail || strings.HasPrefix(f.Name, "user CPU") || strings.HasPrefix(f.Name, "system CPU") {
			continue
		}
		at := slices.IndexFunc(groups, func(g *curveGroup) bool { return g.scenario == f.Scenario && g.unit == f.Unit })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &curveGroup{scenario: f.Scenario, unit: f.Unit})
		}
		groups[at].add(f)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.curves, func(a, b *curve) int { return rank(a.server) - rank(b.server) })
		for _, c := range g.curves {
			slices.SortStableFunc(c.points, func(a, b *figure) int { return cmp.Compare(*a.X, *b.X) })
		}
	}
	var split []*curveGroup
	for _, g := range groups {
		split = append(split, g.split()...)
	}
	return split
}

// rank puts ours first and the floors last.
func rank(server string) int {
	switch {
	case strings.HasPrefix(server, "wsify"):
		return 0
	case isFloor(server):
		return 2
	}
	return 1
}

// split makes a crowded chart several, by what the names begin with: "kernel memory
// per connection, own channel each" and its like become one.
func (g *curveGroup) split() []*curveGroup {
	if len(g.drawn()) <= crowded {
		return []*curveGroup{g}
	}
	var parts []*curveGroup
	for _, c := range g.curves {
		stem, _, _ := strings.Cut(c.family, ", ")
		at := slices.IndexFunc(parts, func(p *curveGroup) bool { return p.stem == stem })
		if at < 0 {
			at = len(parts)
			parts = append(parts, &curveGroup{scenario: g.scenario, unit: g.unit, stem: stem})
		}
		parts[at].curves = append(parts[at].curves, c)
	}
	if len(parts) == 1 {
		return []*curveGroup{g}
	}
	return parts
}

// file is the name of the group's chart.
func (g *curveGroup) file(kind string) string {
	return slug(strings.Join([]string{kind, g.scenario, g.unit, g.stem}, " ")) + ".svg"
}

func (g *curveGroup) add(f *figure) {
	c := &curve{server: f.Server, family: f.Name}
	if parts := ranked.FindStringSubmatch(f.Name); parts != nil {
		c.family, c.rank = parts[1], parts[2]
	}
	at := slices.IndexFunc(g.curves, func(o *curve) bool {
		return o.server == c.server && o.family == c.family && o.rank == c.rank
	})
	if at < 0 {
		at = len(g.curves)
		g.curves = append(g.curves, c)
	}
	g.curves[at].points = append(g.curves[at].points, f)
}

// servers and families are what tells the curves of a group apart.
func (g *curveGroup) servers() []string {
	return distinct(g.curves, func(c *curve) string { return c.server })
}

func (g *curveGroup) families() []string {
	return distinct(g.curves, func(c *curve) string { return c.family })
}

func distinct(curves []*curve, of func(*curve) string) []string {
	var all []string
	for _, c := range curves {
		if !slices.Contains(all, of(c)) {
			all = append(all, of(c))
		}
	}
	return all
}

// label names a curve among its group: what they share is left out.
func (g *curveGroup) label(c *curve) string {
	var words []string
	if len(g.servers()) > 1 {
		words = append(words, c.server)
	}
	if len(g.families()) > 1 || c.rank == "" && len(words) == 0 {
		words = append(words, strings.TrimPrefix(c.family, g.common()))
	}
	if c.rank != "" {
		words = append(words, c.rank)
	}
	return strings.Join(words, ", ")
}

// shared is what the labels leave out: the server, and what was measured.
func (g *curveGroup) shared() string {
	var words []string
	if s := g.servers(); len(s) == 1 && s[0] != "" {
		words = append(words, s[0])
	}
	if common := strings.TrimSuffix(g.common(), ", "); common != "" {
		words = append(words, common)
	} else if f := g.families(); len(f) == 1 && !strings.Contains(g.label(g.curves[0]), f[0]) {
		words = append(words, f[0])
	}
	return strings.Join(words, ", ")
}

// common is the word with which the names of several families begin, as "CPU, ".
func (g *curveGroup) common() string {
	families := g.families()
	word, _, ok := strings.Cut(families[0], ", ")
	word += ", "
	for _, f := range families {
		ok = ok && strings.HasPrefix(f, word)
	}
	if !ok || len(families) < 2 {
		return ""
	}
	return word
}

// flat tells that nothing depends on x: a table says it.
func (g *curveGroup) flat() bool {
	first := g.curves[0].points[0].Median
	for _, c := range g.curves {
		for _, f := range c.points {
			if f.Median != first {
				return false
			}
		}
	}
	return true
}

// measure says what a unit is of, where it does not say so itself.
func measure(unit string) string {
	switch unit {
	case "us", "ms", "s":
		return "time, " + unit
	case "B", "KB", "MB", "KiB", "MiB":
		return "memory, " + unit
	}
	return unit
}

// axisLabel says what x is.
func axisLabel(vary string) string {
	switch vary {
	case "connections":
		return vary
	case "content":
		return "content, bytes"
	}
	if flag, ok := strings.CutPrefix(vary, "server."); ok {
		return "-" + flag + " of the server"
	}
	return "-" + vary + " of wsbench"
}

// drawn leaves out the rare percentiles, which would flatten the others, and where
// it is crowded p50 too.
func (g *curveGroup) drawn() []*curve {
	drawn := g.without("p99.9", "max")
	if p99 := g.without("p50", "p99.9", "max"); len(drawn) > 2*crowded && len(p99) > 0 {
		return p99
	}
	if len(drawn) == 0 {
		return g.curves
	}
	return drawn
}

func (g *curveGroup) without(ranks ...string) []*curve {
	return slices.DeleteFunc(slices.Clone(g.curves), func(c *curve) bool { return slices.Contains(ranks, c.rank) })
}

// table writes the group's figures, a row for each x.
func (g *curveGroup) table(p *page, x string) {
	head := []string{plain(x)}
	var xs []float64
	for _, c := range g.curves {
		head = append(head, plain(g.label(c)))
		for _, f := range c.points {
			xs = append(xs, *f.X)
		}
	}
	slices.Sort(xs)
	var rows [][]string
	for _, x := range slices.Compact(xs) {
		row := []string{show(x)}
		for _, c := range g.curves {
			row = append(row, c.at(x).cell())
		}
		rows = append(rows, row)
	}
	caption := g.scenario + ", " + measure(g.unit)
	if shared := g.shared(); shared != "" {
		caption += "; " + shared
	}
	p.para("%s:", plain(caption))
	p.table(head, rows)
}

// at returns the curve's figure at x, nil when there is none.
func (c *curve) at(x float64) *figure {
	for _, f := range c.points {
		if *f.X == x {
			return f
		}
	}
	return nil
}

// slug makes a part of a file name.
func slug(s string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s)
	return strings.Trim(regexp.MustCompile(`-+`).ReplaceAllString(out, "-"), "-")
}
