package main

import (
	"bytes"
	"image/color"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart brings its own light background: what is drawn on it reads the same
// whether the page around it is light or dark.
var (
	paper = rgb(0xFFFFFF)
	ink   = rgb(0x1F2328)
	faint = rgb(0x57606A)
	grid  = rgb(0xE3E6EA)
)

// serverColors are Okabe and Ito's and Tol's, which differ for the colour-blind too.
var serverColors = []struct {
	prefix string // of the name in lower case; the first that fits counts
	color  color.RGBA
}{
	{"wsify v3", rgb(0x882255)},
	{"wsify", rgb(0x0072B2)},
	{"floor of", rgb(0x8C959F)},
	{"floor", rgb(0x57606A)},
	{"nbio", rgb(0xE69F00)},
	{"gws", rgb(0x009E73)},
	{"gobwas", rgb(0xCC79A7)},
	{"coder", rgb(0xD55E00)},
	{"gorilla", rgb(0x56B4E9)},
	{"uwebsockets", rgb(0x8A7A00)},
	{"centrifugo", rgb(0x332288)},
}

// curveColors are for the curves of one server, spareColors for servers that have none of their own.
var (
	curveColors = []color.RGBA{
		rgb(0x0072B2), rgb(0xD55E00), rgb(0x009E73), rgb(0xCC79A7), rgb(0xE69F00), rgb(0x56B4E9), rgb(0x332288), rgb(0x8A7A00),
	}
	spareColors = []color.RGBA{rgb(0xAA4499), rgb(0x117733), rgb(0x661100), rgb(0x44AA99), rgb(0x999933)}
)

func rgb(hex uint32) color.RGBA {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xFF}
}

// colorsOf gives each server its colour; one whose colour is taken, or that has none,
// gets the next spare one.
func colorsOf(servers []string) map[string]color.RGBA {
	colors := make(map[string]color.RGBA)
	taken := make(map[color.RGBA]bool)
	spare := 0
	for _, name := range servers {
		c, own := ownColor(name)
		if !own || taken[c] {
			c = spareColors[spare%len(spareColors)]
			spare++
		}
		colors[name], taken[c] = c, true
	}
	return colors
}

func ownColor(name string) (color.RGBA, bool) {
	for _, s := range serverColors {
		if strings.HasPrefix(strings.ToLower(name), s.prefix) {
			return s.color, true
		}
	}
	return color.RGBA{}, false
}

// lighter mixes a colour with the paper.
func lighter(c color.RGBA) color.RGBA {
	mix := func(v uint8) uint8 { return uint8((int(v)*9 + 0xFF*11) / 20) }
	return color.RGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 0xFF}
}

// letters is a style of text.
func letters(size vg.Length, weight xfont.Weight, c color.Color) text.Style {
	return text.Style{
		Color:   c,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight, Size: size},
		Handler: plot.DefaultTextHandler,
	}
}

func titleStyle() text.Style { return letters(13, xfont.WeightBold, ink) }
func smallStyle() text.Style { return letters(10, xfont.WeightNormal, faint) }
func labelStyle() text.Style { return letters(10.5, xfont.WeightNormal, ink) }

// newPlot is an empty plot in our style: no box, faint axes.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the whole canvas has one
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle = draw.LineStyle{Color: faint, Width: 0.6}
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 4
		a.Padding = 0
		xa, ya := a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = labelStyle()
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = xa, ya
		xa, ya = a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign
		a.Label.TextStyle = labelStyle()
		a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign = xa, ya
		a.Label.Padding = 3
	}
	return p
}

// render returns what paint drew, as SVG. Text stays text: fonts are named, not
// embedded (one is half a megabyte), with others of the same widths behind.
func render(width, height vg.Length, paint func(draw.Canvas)) ([]byte, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	c := draw.New(canvas)
	c.SetColor(paper)
	c.Fill(c.Rectangle.Path())
	paint(c)
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;font-variant:normal;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")), nil
}
