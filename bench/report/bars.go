package main

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	chartWidth = vg.Length(600) // 800 pixels: what GitHub shows unscaled
	barHeight  = vg.Length(11)
)

// barChart compares servers: a row each. Where values span decades the axis is
// logarithmic, and a value is a dot on a line, since the length of a bar would lie.
type barChart struct {
	title, unit string
	labels      []string              // of the bars of a group, where there are several
	colors      map[string]color.RGBA // of the servers
	groups      []barGroup
}

// barGroup is one server's row.
type barGroup struct {
	server   string
	measured bool      // in this run
	bars     []*figure // nil where there is nothing
}

// add takes a row that has something to show.
func (b *barChart) add(g barGroup) {
	if slices.ContainsFunc(g.bars, func(f *figure) bool { return f != nil }) {
		b.groups = append(b.groups, g)
	}
}

// measured tells whether a row is of this run.
func (b *barChart) measured() bool {
	return slices.ContainsFunc(b.groups, func(g barGroup) bool { return g.measured })
}

func (b *barChart) draw() ([]byte, error) {
	scale := b.scale()
	p := newPlot()
	scale.apply(&p.X)
	p.Y.Min, p.Y.Max = -0.5, float64(len(b.groups))-0.5
	p.Y.Tick.Length = 0
	p.Y.Tick.Marker = plot.ConstantTicks(nil)
	p.Add(&barPlotter{chart: b, scale: scale})

	head := b.header(scale)
	top := head.height(chartWidth)
	left := margin + b.namesWidth()
	perRow := barHeight*vg.Length(len(b.groups[0].bars)) + 11
	height := top + perRow*vg.Length(len(b.groups)) + 36
	return render(chartWidth, height, func(c draw.Canvas) {
		head.paint(c)
		p.Draw(draw.Crop(c, left, -margin, margin/2, -top))
	})
}

// namesWidth is the room for the servers' names, with some to spare: where the font
// is not to be had, another one may be wider.
func (b *barChart) namesWidth() vg.Length {
	widest := vg.Length(0)
	for _, g := range b.groups {
		widest = max(widest, labelStyle().Width(g.label()))
	}
	return widest*1.2 + 4
}

// label is the server's name, marked when its figures are from elsewhere.
func (g barGroup) label() string {
	if g.measured {
		return g.server
	}
	return g.server + " †"
}

func (b *barChart) scale() scaling {
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range b.groups {
		for _, f := range g.bars {
			if f != nil {
				low, high = min(low, f.Min), max(high, f.Max)
			}
		}
	}
	s := scaleFor(low, high, b.unit)
	if s.log {
		return logScale(low*0.6, high, b.unit) // the least value has a line too
	}
	return s
}

// row is where the i-th group stands on the vertical axis, the first on top.
func (b *barChart) row(i int) float64 { return float64(len(b.groups) - 1 - i) }

func (b *barChart) header(scale scaling) header {
	h := header{title: b.title, subtitle: b.unit + ", median; whiskers from lowest to highest sample"}
	if scale.log {
		h.subtitle += "; logarithmic"
	}
	if len(b.labels) > 1 {
		for i, label := range b.labels {
			fill := shade(faint, i)
			h.entries = append(h.entries, entry{label, func(c *draw.Canvas, m vg.Point) {
				c.FillPolygon(fill, box(m, swatch, 8))
			}})
		}
	}
	if slices.ContainsFunc(b.groups, func(g barGroup) bool { return !g.measured }) {
		h.entries = append(h.entries, entry{"† open: not measured in this run", func(c *draw.Canvas, m vg.Point) {
			if scale.log {
				openDot(c, m, faint)
				return
			}
			outline(c, openLine(faint), box(m, swatch, 8))
		}})
	}
	if b.floor() != nil {
		h.entries = append(h.entries, entry{"floor", func(c *draw.Canvas, m vg.Point) {
			c.StrokeLine2(floorLine(), m.X, m.Y-6, m.X, m.Y+6)
		}})
	}
	return h
}

// floor is what the first bars are compared with, nil when it was not measured. A
// floor of more threads has a bar, and no line.
func (b *barChart) floor() *figure {
	for _, g := range b.groups {
		if g.server == floorName {
			return g.bars[0]
		}
	}
	return nil
}

func floorLine() draw.LineStyle {
	return draw.LineStyle{Color: faint, Width: 1, Dashes: []vg.Length{4, 3}}
}

func openLine(c color.Color) draw.LineStyle { return draw.LineStyle{Color: c, Width: 1.2} }

// shade is the colour of a group's i-th bar.
func shade(c color.RGBA, i int) color.RGBA {
	if i > 0 {
		return lighter(c)
	}
	return c
}

// barPlotter draws the rows of a barChart.
type barPlotter struct {
	chart *barChart
	scale scaling
}

// Plot is called by the plot when axes are drawn.
func (b *barPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, t := range b.scale.ticks {
		if t.Label != "" {
			c.StrokeLine2(draw.LineStyle{Color: grid, Width: 0.6}, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
		}
	}
	if f := b.chart.floor(); f != nil {
		c.StrokeLine2(floorLine(), x(f.Median), c.Min.Y, x(f.Median), c.Max.Y)
	}
	for i, g := range b.chart.groups {
		middle := y(b.chart.row(i))
		c.FillText(labelStyle(), vg.Point{X: c.Min.X - b.chart.namesWidth(), Y: middle - 3.5}, g.label())
		for k, f := range g.bars {
			if f != nil {
				at := middle + barHeight*(vg.Length(len(g.bars)-1)/2-vg.Length(k))
				b.bar(&c, g, f, shade(b.chart.colors[g.server], k), c.Min.X, at, x)
			}
		}
	}
}

// bar draws one value, its whisker and its number.
func (b *barPlotter) bar(c *draw.Canvas, g barGroup, f *figure, fill color.RGBA, left, y vg.Length, x func(float64) vg.Length) {
	end := x(f.Median)
	body := box(vg.Point{X: (left + end) / 2, Y: y}, end-left, barHeight-2)
	switch {
	case b.scale.log:
		c.StrokeLine2(draw.LineStyle{Color: fill, Width: 1.6}, left, y, end, y)
		if g.measured {
			dot(c, vg.Point{X: end, Y: y}, draw.CircleGlyph{}, fill)
		} else {
			openDot(c, vg.Point{X: end, Y: y}, fill)
		}
	case g.measured:
		c.FillPolygon(fill, body)
	default:
		outline(c, openLine(fill), body)
	}
	if len(f.Samples) > 1 {
		whisker(c, ink, vg.Point{X: x(f.Min), Y: y}, vg.Point{X: x(f.Max), Y: y})
		end = max(end, x(f.Max))
	}
	text, width := barLabel(f), b.number().Width(barLabel(f))*1.1
	c.FillPolygon(paper, box(vg.Point{X: end + 6 + width/2, Y: y}, width+2, barHeight-1)) // over the lines behind
	c.FillText(b.number(), vg.Point{X: end + 6, Y: y - 3.5}, text)
}

func (b *barPlotter) number() draw.TextStyle {
	s := smallStyle()
	s.Color = ink
	return s
}

// barLabel is the number at a bar's end. The unit is in the subtitle, unless it scales.
func barLabel(f *figure) string {
	if _, ok := scales[f.Unit]; ok {
		return quantity(f.Median, f.Unit)
	}
	return show(f.Median)
}

// GlyphBoxes keeps room at the right for the numbers.
func (b *barPlotter) GlyphBoxes(p *plot.Plot) []plot.GlyphBox {
	var boxes []plot.GlyphBox
	for i, g := range b.chart.groups {
		for _, f := range g.bars {
			if f != nil {
				r := vg.Rectangle{Max: vg.Point{X: 6 + b.number().Width(barLabel(f))*1.1 + 2}}
				boxes = append(boxes, plot.GlyphBox{X: p.X.Norm(f.Max), Y: p.Y.Norm(b.chart.row(i)), Rectangle: r})
			}
		}
	}
	return boxes
}

// whisker draws the line from the lowest to the highest sample, with its ends.
func whisker(c *draw.Canvas, clr color.Color, from, to vg.Point) {
	line := draw.LineStyle{Color: clr, Width: 0.8}
	c.StrokeLine2(line, from.X, from.Y, to.X, to.Y)
	tick := vg.Point{X: 2.5}
	if from.Y == to.Y {
		tick = vg.Point{Y: 2.5}
	}
	for _, p := range []vg.Point{from, to} {
		c.StrokeLine2(line, p.X-tick.X, p.Y-tick.Y, p.X+tick.X, p.Y+tick.Y)
	}
}
