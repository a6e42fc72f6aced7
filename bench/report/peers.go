package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// column is one figure that servers are compared by.
type column struct {
	key      string // in elsewhere.json; "" when nothing is known from elsewhere
	title    string
	scenario string
	name     string
	unit     string
	over     string // the record's own ratio to the floor, taken within a round; "" when it has none
}

var (
	memory    = column{"memory_b", "RSS per idle connection", "idle", "RSS per connection, one channel for all", "B", ""}
	delivery1 = column{"delivery_1_us", "CPU us per delivery, window 1", "fanout", "CPU, window 1", "CPU us per delivery", "over floor, window 1"}
	delivery4 = column{"delivery_4_us", "CPU us per delivery, window 4", "fanout", "CPU, window 4", "CPU us per delivery", ""}
	roundTrip = column{"round_trip_us", "CPU us per JSON round trip", "echo", "CPU, 100 connections", "CPU us per round trip", "over floor, 100 connections"}
	handshake = column{"handshake_us", "CPU us per handshake", "connect", "CPU, connect and upgrade", "CPU us per handshake", "over floor, connect and upgrade"}
	burst     = column{"burst_mb", "RSS after a burst, over idle", "burst", "RSS after the burst, over idle", "MB", ""}
	fanoutP99 = column{"", "p99 of a fan-out, paced", "fanout", "paced: p99", "us", ""}
	echoP99   = column{"", "p99 of a round trip, paced", "echo", "paced: p99", "us", ""}

	columns = []column{memory, delivery1, delivery4, roundTrip, handshake, burst, fanoutP99, echoP99}
)

// peerCharts are the pictures of the columns. Those of one chart share an axis.
var peerCharts = []struct {
	file, title string
	columns     []column
	labels      []string // of the columns, where there are several
}{
	{"peers-memory.svg", "Memory of an idle connection", []column{memory}, nil},
	{"peers-delivery.svg", "CPU of a delivery", []column{delivery1, delivery4}, []string{"one publication in flight", "four in flight"}},
	{"peers-roundtrip.svg", "CPU of a JSON round trip", []column{roundTrip}, nil},
	{"peers-handshake.svg", "CPU of connect and upgrade", []column{handshake}, nil},
	{"peers-burst.svg", "Memory after a burst, over idle", []column{burst}, nil},
	{"peers-latency.svg", "99th percentile of latency, at a fixed pace", []column{fanoutP99, echoP99}, []string{"fan-out to all", "round trip"}},
}

//go:embed elsewhere.json
var elsewhereJSON []byte

// elsewhere holds figures of servers that cannot be had for a run.
type elsewhere struct {
	Source  string
	Floors  map[string]float64 // of that measurement, by the keys of columns, where it had one
	Servers []struct {
		Name    string
		Is      string
		Figures map[string]float64 // by the keys of columns
	}
}

func readElsewhere(text []byte) (*elsewhere, error) {
	e := new(elsewhere)
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("elsewhere.json: %w", err)
	}
	return e, nil
}

// peer is a row of the table: a server, measured or not.
type peer struct {
	name     string
	remark   string
	figures  []*figure // by column, nil where there is none
	measured bool
	floors   map[string]float64 // of a measurement elsewhere
}

// peers returns the rows: wsify, those measured beside it, the floors, those from elsewhere.
func (b *builder) peers(r *record) []peer {
	var all []peer
	for _, name := range r.serverNames() {
		p := peer{name: name, measured: true}
		for _, c := range columns {
			p.figures = append(p.figures, r.find(c.scenario, name, c.name))
		}
		all = append(all, p)
	}
	for _, s := range b.elsewhere.Servers {
		p := peer{name: s.Name, remark: s.Is, floors: b.elsewhere.Floors}
		if slices.ContainsFunc(all, func(m peer) bool { return strings.EqualFold(m.name, p.name) }) {
			continue // this run has it
		}
		for _, c := range columns {
			var f *figure
			if v, ok := s.Figures[c.key]; ok {
				f = &figure{Scenario: c.scenario, Server: p.name, Name: c.name, Unit: c.unit, Median: v, Min: v, Max: v}
			}
			p.figures = append(p.figures, f)
		}
		all = append(all, p)
	}
	return all
}

// serverNames lists the servers that have figures in one of the columns: ours
// first, the floors last, the others as the record lists them.
func (r *record) serverNames() []string {
	var names []string
	for _, f := range r.Figures {
		compared := slices.ContainsFunc(columns, func(c column) bool { return c.scenario == f.Scenario && c.name == f.Name })
		if compared && f.Server != "" && f.Server != "base" && !slices.Contains(names, f.Server) {
			names = append(names, f.Server)
		}
	}
	place := func(name string) int {
		switch i := slices.IndexFunc(r.Servers, func(s server) bool { return s.Name == name }); {
		case strings.HasPrefix(name, "wsify"):
			return -1
		case isFloor(name):
			return len(r.Servers) + 1 + len(name) // the plain one first
		case i < 0:
			return len(r.Servers)
		default:
			return i
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	return names
}

func (b *builder) writePeers(p *page) error {
	p.para("## 3. Peers, side by side")
	r := b.lib.kinds["peers"]
	if r == nil {
		p.missing("bench-peers")
		return nil
	}
	rows := b.peers(r)
	shown := shownColumns(rows)
	head := []string{"server"}
	for _, i := range shown {
		head = append(head, columns[i].title)
	}
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		cells = append(cells, row.cells(r, shown))
	}
	p.table(head, cells)
	p.para("Medians; × is the ratio to the floor, which makes only the system calls nobody can avoid with as many sockets and the same bytes: " +
		"taken within a round where the record has it so, else median by median.")
	if slices.ContainsFunc(rows, func(r peer) bool { return !r.measured }) {
		p.para("† Not measured in this run: from %s. Memory after a burst is all of it there, not what came on top of idle, and therefore not in the chart.", b.elsewhere.Source)
	}
	p.cite(r, b.links)
	if err := b.drawPeers(p, r, rows); err != nil {
		return err
	}
	return b.remark(p, "peers")
}

// shownColumns leaves out what no server of the run has.
func shownColumns(rows []peer) []int {
	var shown []int
	for i := range columns {
		if slices.ContainsFunc(rows, func(r peer) bool { return r.measured && r.figures[i] != nil }) {
			shown = append(shown, i)
		}
	}
	return shown
}

// cells writes a row of the table.
func (p peer) cells(r *record, shown []int) []string {
	name := plain(p.name)
	if !p.measured {
		name = fmt.Sprintf("*%s* (%s) †", name, plain(p.remark))
	}
	cells := []string{name}
	for _, i := range shown {
		cells = append(cells, p.cell(r, i))
	}
	return cells
}

func (p peer) cell(r *record, i int) string {
	f := p.figures[i]
	switch {
	case f == nil && p.measured && !isFloor(p.name) && r.failed(columns[i].scenario):
		return "failed"
	case f == nil:
		return "–"
	}
	value := show(f.Median)
	if _, scaled := scales[f.Unit]; scaled {
		value = quantity(f.Median, f.Unit)
	}
	if ratio := p.overFloor(r, columns[i]); ratio > 0 {
		value += fmt.Sprintf(" (%s×)", show(ratio))
	}
	return value
}

// overFloor is the ratio of a server's figure to the floor's of its own measurement, 0
// without one.
func (p peer) overFloor(r *record, c column) float64 {
	if floor := p.floors[c.key]; !p.measured && floor > 0 {
		if f := p.figures[slices.Index(columns, c)]; f != nil {
			return f.Median / floor
		}
	}
	floor := r.find(c.scenario, floorName, c.name)
	f := r.find(c.scenario, p.name, c.name)
	if !p.measured || isFloor(p.name) || f == nil {
		return 0
	}
	if within := r.find(c.scenario, p.name, c.over); within != nil {
		return within.Median
	}
	if floor == nil || floor.Median <= 0 {
		return 0
	}
	return f.Median / floor.Median
}

// drawn is the figure that stands in the column's chart. Of a server measured elsewhere
// that is memory at rest alone: its CPU is that of another machine, and its memory after
// a burst has that of idle in it, which is nothing to draw beside the others.
func (p peer) drawn(c column) *figure {
	if c != memory && !p.measured {
		return nil
	}
	return p.figures[slices.Index(columns, c)]
}

// drawPeers draws the charts that have something to show.
func (b *builder) drawPeers(p *page, r *record, rows []peer) error {
	var names []string
	for _, row := range rows {
		names = append(names, row.name)
	}
	colors := colorsOf(names)
	for _, c := range peerCharts {
		chart := barChart{title: c.title, unit: c.columns[0].unit, labels: c.labels, colors: colors}
		for _, row := range rows {
			g := barGroup{server: row.name, measured: row.measured}
			for _, col := range c.columns {
				g.bars = append(g.bars, row.drawn(col))
			}
			chart.add(g)
		}
		if !chart.measured() {
			continue
		}
		svg, err := chart.draw()
		if err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
		b.picture(p, c.file, c.title+", in "+c.columns[0].unit+", server by server", svg)
		p.para("Data: %s.", link(r.file, b.links))
	}
	return nil
}
