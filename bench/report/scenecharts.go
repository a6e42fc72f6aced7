package main

import (
	"fmt"
	"image/color"
	"strings"
)

// drawScene shows a scene's picture, where it has one: below storm the rates, below
// authorizer the latency of the others, beside all that was tried to disturb them.
func (b *builder) drawScene(p *page, r *record, scenario string) error {
	var c *barChart
	switch scenario {
	case "storm":
		c = stormChart(r)
	case "authorizer":
		c = othersChart(r)
	}
	if c == nil || len(c.groups) == 0 {
		return nil
	}
	svg, err := c.draw()
	if err != nil {
		return fmt.Errorf("%s: %w", scenario, err)
	}
	b.picture(p, slug("scenario "+scenario)+".svg", c.title+", in "+c.unit, svg)
	p.para("Data: %s.", link(r.file, b.links))
	return nil
}

// stormChart compares how fast everybody joins, by kind of storm and by server.
func stormChart(r *record) *barChart {
	c := &barChart{title: "A storm: how fast everybody joins", unit: "joined/s", colors: make(map[string]color.RGBA)}
	servers := r.sceneServers("storm")
	colors := colorsOf(servers)
	for _, server := range servers {
		for i := range r.Figures {
			f := &r.Figures[i]
			kind, ok := strings.CutSuffix(f.Name, ": rate")
			if !ok || f.Scenario != "storm" || f.Server != server || f.X != nil {
				continue
			}
			label := strings.TrimPrefix(kind, "storm, ")
			if len(servers) > 1 {
				label = server + ", " + label
			}
			c.colors[label] = colors[server]
			c.add(barGroup{server: label, measured: true, bars: []*figure{f}})
		}
	}
	return c
}

// othersChart compares the latency of those who do nothing wrong, alone and beside
// others. It shows the first wsify of the record.
func othersChart(r *record) *barChart {
	server := ours(r)[0]
	c := &barChart{
		title: "Latency of the others, " + server, unit: "us", labels: []string{"p50", "p99"}, colors: make(map[string]color.RGBA),
	}
	for i, scenario := range []string{"slow", "slowloris", "authorizer"} {
		add := func(label, stem string) {
			c.colors[label] = curveColors[i]
			c.add(barGroup{server: label, measured: true, bars: []*figure{
				r.find(scenario, server, stem+": p50"), r.find(scenario, server, stem+": p99"),
			}})
		}
		add(scenario+": alone", "others alone")
		for _, beside := range r.besides(scenario, server) {
			add("beside "+beside, "others beside "+beside)
		}
	}
	return c
}
