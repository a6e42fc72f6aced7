package main

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const lineChartHeight = vg.Length(250) // of the plot, its axis included

// lineChart shows curves over one x.
type lineChart struct {
	head   header
	label  string // of x
	x, y   scaling
	spaced []float64 // not nil: x is a list of values at equal distances
	lines  []line
}

type line struct {
	points []*figure
	stroke draw.LineStyle
	shape  draw.GlyphDrawer
	fill   color.Color
}

// dashes tell apart what shares a colour.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2.5}, {8, 3, 2, 3}}

// shapes of points go with the dashes.
var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}}

// chart lays out the group's curves. Where there are several servers, colour is the
// server; else it is what was measured. Dashes are the rest.
func (g *curveGroup) chart(x string) *lineChart {
	drawn := g.drawn()
	ch := &lineChart{label: x}
	ch.scale(drawn, g.unit)
	ch.head = header{title: g.scenario + ": " + measure(g.unit), subtitle: "median; whiskers from lowest to highest sample"}
	if shared := g.shared(); shared != "" {
		ch.head.subtitle = shared + "; " + ch.head.subtitle
	}
	if ch.y.log {
		ch.head.subtitle += "; logarithmic"
	}
	colors := colorsOf(g.servers())
	for _, c := range drawn {
		family := slices.Index(g.families(), c.family)
		clr, dash := colors[c.server], family
		if len(g.servers()) == 1 {
			clr, dash = curveColors[family%len(curveColors)], family/len(curveColors)
			if len(g.families()) == 1 {
				clr = colors[c.server]
			}
		}
		if c.rank == "p99" {
			dash++
		}
		l := line{
			points: c.points, fill: clr, shape: shapes[dash%len(shapes)],
			stroke: draw.LineStyle{Color: clr, Width: 1.8, Dashes: dashes[dash%len(dashes)]},
		}
		ch.lines = append(ch.lines, l)
		ch.head.entries = append(ch.head.entries, entry{g.label(c), l.paintSwatch})
	}
	if slices.ContainsFunc(drawn, (*curve).endsInMillion) {
		ch.head.entries = append(ch.head.entries, entry{"open: from the run of a million", func(c *draw.Canvas, m vg.Point) { openDot(c, m, faint) }})
	}
	return ch
}

func (l line) paintSwatch(c *draw.Canvas, m vg.Point) {
	c.StrokeLine2(l.stroke, m.X-swatch/2, m.Y, m.X+swatch/2, m.Y)
	dot(c, m, l.shape, l.fill)
}

// scale finds the axes. An x that spans decades is logarithmic; with a 0 among them,
// its values stand at equal distances.
func (ch *lineChart) scale(curves []*curve, unit string) {
	low, high := math.Inf(1), math.Inf(-1)
	var xs []float64
	for _, c := range curves {
		for _, f := range c.points {
			low, high = min(low, f.Min), max(high, f.Max)
			xs = append(xs, *f.X)
		}
	}
	ch.y = scaleFor(low, high, unit)
	slices.Sort(xs)
	xs = slices.Compact(xs)
	first, last := xs[0], xs[len(xs)-1]
	switch {
	case first > 0 && last/first >= 8:
		ch.x = scaling{log: true, min: first, max: last}
	case first <= 0 && len(xs) > 2 && last > decadesLinear*xs[1]:
		ch.spaced = xs
		ch.x = scaling{min: 0, max: float64(len(xs) - 1)}
	default:
		ch.x = scaling{min: first, max: last}
	}
	if first == last {
		ch.x = scaling{min: first - 1, max: last + 1}
	}
	for _, x := range xs {
		ch.x.ticks = append(ch.x.ticks, plot.Tick{Value: ch.place(x), Label: tickLabel(x, "")})
	}
	ch.x.thin()
}

// place is where x stands on the axis.
func (ch *lineChart) place(x float64) float64 {
	if ch.spaced != nil {
		return float64(slices.Index(ch.spaced, x))
	}
	return x
}

func (ch *lineChart) draw() ([]byte, error) {
	p := newPlot()
	ch.x.apply(&p.X)
	for i := range ch.y.ticks {
		if t := &ch.y.ticks[i]; t.Label != "" {
			t.Label += "  " // not shown, but room, in case another font is wider
		}
	}
	ch.y.apply(&p.Y)
	p.X.Padding = 8
	p.X.Label.Text = ch.label
	p.Y.Padding = 16 // the first points are not on the axis
	p.Add(ch)
	top := ch.head.height(chartWidth)
	return render(chartWidth, top+lineChartHeight, func(c draw.Canvas) {
		ch.head.paint(c)
		p.Draw(draw.Crop(c, margin, -2*margin, margin/2, -top))
	})
}

// Plot is called by the plot when axes are drawn.
func (ch *lineChart) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, t := range ch.y.ticks {
		if t.Label != "" {
			c.StrokeLine2(draw.LineStyle{Color: grid, Width: 0.6}, c.Min.X, y(t.Value), c.Max.X, y(t.Value))
		}
	}
	for i, l := range ch.lines {
		for _, f := range l.points {
			if len(f.Samples) > 1 {
				at := x(ch.place(*f.X)) + ch.aside(i)
				whisker(&c, l.fill, vg.Point{X: at, Y: y(f.Min)}, vg.Point{X: at, Y: y(f.Max)})
			}
		}
	}
	for i, l := range ch.lines {
		var path []vg.Point
		for _, f := range l.points {
			path = append(path, vg.Point{X: x(ch.place(*f.X)) + ch.aside(i), Y: y(f.Median)})
		}
		c.StrokeLines(l.stroke, path)
		for k, at := range path {
			if l.points[k].million {
				openDot(&c, at, l.fill)
			} else {
				dot(&c, at, l.shape, l.fill)
			}
		}
	}
}

// aside moves each line a little, so that whiskers at one x are not one over the other.
func (ch *lineChart) aside(i int) vg.Length {
	return 2.5 * (vg.Length(i) - vg.Length(len(ch.lines)-1)/2)
}

// diamond is a full glyph; the library's own fourth is a line that takes over dashes.
type diamond struct{}

// DrawGlyph is called for each point.
func (diamond) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	r := style.Radius * 1.2
	c.FillPolygon(style.Color, []vg.Point{{X: at.X - r, Y: at.Y}, {X: at.X, Y: at.Y + r}, {X: at.X + r, Y: at.Y}, {X: at.X, Y: at.Y - r}})
}
