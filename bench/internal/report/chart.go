package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	html "html/template"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"wsify/bench/internal/record"
	"wsify/bench/internal/table"
)

type chart struct {
	Title, File string
	SVG         []byte
}

// Inline is the picture for a page in HTML.
func (c chart) Inline() html.HTML {
	return html.HTML(c.SVG[bytes.Index(c.SVG, []byte("<svg")):]) // made by gonum/plot, which escapes text
}

// series is the figures of one name in one scenario of a record.
type series struct {
	of             *record.Record
	scenario, name string
	figures        []*record.Figure
}

// chartsOf draws what compares something, servers or values of what was varied: courses in time first, then costs,
// latencies, and the rest; at most so many.
func chartsOf(records []*record.Record, most int) (charts []chart, err error) {
	var all []*series
	for _, r := range records {
		for i := range r.Figures {
			f := &r.Figures[i]
			at := slices.IndexFunc(all, func(s *series) bool { return s.of == r && s.scenario == f.Scenario && s.name == f.Name })
			if at < 0 {
				at = len(all)
				all = append(all, &series{r, f.Scenario, f.Name, nil})
			}
			all[at].figures = append(all[at].figures, f)
		}
	}
	all = slices.DeleteFunc(all, func(s *series) bool {
		return len(s.figures) < 2 || s.figures[0].Better == record.Fact && s.figures[0].Along == ""
	})
	slices.SortStableFunc(all, func(a, b *series) int { return cmp.Compare(a.rank(), b.rank()) })
	for _, s := range all[:min(len(all), most)] {
		c, err := s.draw()
		if err != nil {
			return nil, fmt.Errorf("chart of %s, %s: %w", s.scenario, s.name, err)
		}
		for slices.ContainsFunc(charts, func(other chart) bool { return other.File == c.File }) { // two records of one minute
			c.File = "2-" + c.File
		}
		charts = append(charts, c)
	}
	return charts, nil
}

func (s *series) rank() int {
	switch {
	case s.figures[0].Along != "":
		return -1
	case s.figures[0].Cost:
		return 0
	case strings.HasSuffix(s.name, "p99"):
		return 1
	}
	return 2
}

func (s *series) draw() (chart, error) {
	p := plot.New()
	largest := 0.0
	for _, f := range s.figures {
		largest = max(largest, math.Abs(f.High))
	}
	of, unit := table.Scale(largest, s.figures[0].Unit)
	p.Title.Text = s.scenario + ": " + s.name
	if p.Y.Label.Text = unit; s.figures[0].Better != record.Fact {
		p.Y.Label.Text = strings.TrimSpace(unit + " (" + s.figures[0].Better + " is better)")
	}
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	var err error
	if s.figures[0].X == nil {
		err = s.bars(p, of)
	} else {
		p.X.Label.Text = cmp.Or(s.figures[0].Along, s.of.Vary)
		err = s.lines(p, of)
	}
	if err != nil {
		return chart{}, err
	}
	to, err := p.WriterTo(14*vg.Centimeter, 9*vg.Centimeter, "svg")
	if err != nil {
		return chart{}, err
	}
	var b bytes.Buffer
	_, err = to.WriteTo(&b)
	return chart{p.Title.Text, fileName(s.of.Date.Format("2006-01-02-1504") + "-" + s.scenario + "-" + s.name), b.Bytes()}, err
}

// fileName keeps letters and digits.
func fileName(text string) string {
	return strings.Trim(strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	}), "-"), "-") + ".svg"
}

// interval is medians with their intervals, as plotter wants them.
type interval struct {
	plotter.XYs
	plotter.YErrors
}

func (i interval) Value(k int) float64 { return i.XYs[k].Y }

func (i *interval) add(x float64, f *record.Figure, of float64) {
	i.XYs = append(i.XYs, plotter.XY{X: x, Y: f.Median / of})
	i.YErrors = append(i.YErrors, struct{ Low, High float64 }{(f.Median - f.Low) / of, (f.High - f.Median) / of})
}

func (s *series) bars(p *plot.Plot, of float64) error {
	var at interval
	var names []string
	for i, f := range s.figures {
		at.add(float64(i), f, of)
		names = append(names, f.Server)
	}
	bars, err1 := plotter.NewBarChart(at, vg.Points(28))
	whiskers, err2 := plotter.NewYErrorBars(at)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	bars.Color = color.RGBA{R: 0x4c, G: 0x78, B: 0xa8, A: 0xff}
	bars.LineStyle.Width = 0
	p.Add(bars, whiskers)
	p.NominalX(names...)
	return nil
}

func (s *series) lines(p *plot.Plot, of float64) error {
	var servers []string
	for _, f := range s.figures {
		if !slices.Contains(servers, f.Server) {
			servers = append(servers, f.Server)
		}
	}
	for i, server := range servers {
		var at interval
		for _, f := range s.figures {
			if f.Server == server && f.X != nil {
				at.add(*f.X, f, of)
			}
		}
		line, points, err1 := plotter.NewLinePoints(at.XYs)
		whiskers, err2 := plotter.NewYErrorBars(at)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		line.Color, points.Color, points.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(line, points, whiskers)
		p.Legend.Add(server, line, points)
	}
	p.Legend.Top = true
	return nil
}
