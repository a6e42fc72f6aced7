package main

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	margin     = vg.Length(14)
	swatch     = vg.Length(24)
	legendLine = vg.Length(16)
)

// entry is one item of a legend. paint draws its swatch around the middle.
type entry struct {
	label string
	paint func(c *draw.Canvas, middle vg.Point)
}

// header is what stands above a plot: title, subtitle, legend. Nothing of it is
// over the lines.
type header struct {
	title, subtitle string
	entries         []entry
}

// rows puts the entries into lines of the given width, from left to right.
func (h header) rows(width vg.Length) [][]entry {
	var rows [][]entry
	left := vg.Length(0)
	for _, e := range h.entries {
		w := e.width()
		if len(rows) == 0 || left+w > width {
			rows = append(rows, nil)
			left = 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		left += w
	}
	return rows
}

// width has some to spare, for the case that another font is wider.
func (e entry) width() vg.Length { return swatch + 6 + smallStyle().Width(e.label)*1.15 + 14 }

// height is what paint takes.
func (h header) height(width vg.Length) vg.Length {
	return margin + 36 + legendLine*vg.Length(len(h.rows(width-2*margin)))
}

func (h header) paint(c draw.Canvas) {
	y := c.Max.Y - margin - 9
	c.FillText(titleStyle(), vg.Point{X: c.Min.X + margin, Y: y}, h.title)
	y -= 15
	c.FillText(smallStyle(), vg.Point{X: c.Min.X + margin, Y: y}, h.subtitle)
	for _, row := range h.rows(c.Size().X - 2*margin) {
		y -= legendLine
		x := c.Min.X + margin
		for _, e := range row {
			e.paint(&c, vg.Point{X: x + swatch/2, Y: y + 3})
			style := smallStyle()
			style.Color = ink
			c.FillText(style, vg.Point{X: x + swatch + 6, Y: y}, e.label)
			x += e.width()
		}
	}
}

// box is the path of a rectangle around a point.
func box(middle vg.Point, width, height vg.Length) []vg.Point {
	w, h := width/2, height/2
	return []vg.Point{
		{X: middle.X - w, Y: middle.Y - h}, {X: middle.X + w, Y: middle.Y - h},
		{X: middle.X + w, Y: middle.Y + h}, {X: middle.X - w, Y: middle.Y + h},
	}
}

// outline strokes a closed path.
func outline(c *draw.Canvas, style draw.LineStyle, points []vg.Point) {
	c.StrokeLines(style, append(append([]vg.Point{}, points...), points[0]))
}

// dot draws a point, full or open.
func dot(c *draw.Canvas, at vg.Point, shape draw.GlyphDrawer, fill color.Color) {
	c.DrawGlyphNoClip(draw.GlyphStyle{Color: fill, Radius: 3.2, Shape: shape}, at)
}

func openDot(c *draw.Canvas, at vg.Point, edge color.Color) {
	dot(c, at, draw.CircleGlyph{}, edge)
	c.DrawGlyphNoClip(draw.GlyphStyle{Color: paper, Radius: 2, Shape: draw.CircleGlyph{}}, at)
}
