package main

import (
	"slices"
	"strings"
)

// scene is a scenario that the report tells of by itself: no single figure of it is a
// goal, or the goal says too little.
type scene struct {
	scenario string
	about    string
	latency  string   // what the names of its percentiles do not say
	left     []string // ends of names that stay in the record
}

var scenes = []scene{
	{"storm", "Everybody connects, upgrades and joins at once, each as fast as it can; who is refused comes again.", ": until joined",
		[]string{": tries", ": rate of those never refused"}},
	{"mesh", "Connections are spread over many channels, and all of the channels are published to.", ": latency at a steady rate", nil},
	{"http", "`POST /broadcast` on keep-alive connections.", ": latency at a steady rate", nil},
	{"burst", "Many large publications to everybody at once.", "", nil},
	{"slow", "One member of the channel does not read; the others are published to at a steady rate, alone and beside it.", "",
		[]string{"bytes it was sent", "message it was sent"}},
	{"slowloris", "Round trips at a steady rate, alone, beside thousands of half request heads and beside thousands of half frames.", "", nil},
	{"talkers", "Round trips at a steady rate, alone and beside connections that broadcast to an empty channel, 64 KiB at once.", "", nil},
	{"churn", "Waves of connections join, leave and are reset while their channel is published to; then what is left of them.", "", nil},
	{"authorizer", "Round trips at a steady rate, alone and beside connections whose joins the webhook answers late, with an error, or never.", "", nil},
	{"drain", "SIGTERM with everybody connected.", "", nil},
}

// writeScenes writes a table for each scene, from the record of goals.
func (b *builder) writeScenes(p *page) error {
	p.para("## 2. Scenarios")
	r := b.lib.kinds["goals"]
	if r == nil {
		p.missing("bench-goals")
		return nil
	}
	p.para("Medians, and in brackets the lowest and the highest sample. Latencies count from when each message should have left.")
	for _, s := range scenes {
		p.para("### %s", s.scenario)
		p.para("%s", s.about)
		s.write(p, r)
		if err := b.drawScene(p, r, s.scenario); err != nil {
			return err
		}
	}
	p.cite(r, b.links)
	return b.remark(p, "scenarios")
}

// write writes the scene's table, or why there is none.
func (s scene) write(p *page, r *record) {
	rows := s.rows(r)
	switch {
	case len(rows) == 0 && r.failed(s.scenario):
		p.para("**It failed**: see [Records](#records).")
		return
	case len(rows) == 0:
		p.para("It is not in the record.")
		return
	case r.endedEarly(s.scenario):
		p.para("**It failed before its end**: see [Records](#records).")
	}
	head, wide := []string{"figure", "median"}, slices.ContainsFunc(rows, func(row sceneRow) bool { return row.rare != nil })
	if wide {
		head[1] = "median or p50"
		head = append(head, rare...)
	}
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		cells = append(cells, row.cells(wide))
	}
	p.table(append(head, "n"), cells)
}

// sceneRow is one figure, or the percentiles of one latency.
type sceneRow struct {
	name string
	main *figure
	rare []*figure // as rare, nil for what is no latency
}

// rare are the percentiles that stand behind p50.
var rare = []string{"p99", "p99.9", "max"}

// rows picks the scene's figures, in the record's order, ours first. Floors are in the
// ratios over them.
func (s scene) rows(r *record) []sceneRow {
	servers := r.sceneServers(s.scenario)
	var rows []sceneRow
	for _, server := range servers {
		for i := range r.Figures {
			f := &r.Figures[i]
			if f.Scenario != s.scenario || f.Server != server || f.X != nil || f.Detail || s.leaves(f.Name) {
				continue
			}
			row, ok := s.row(r, f)
			if !ok {
				continue
			}
			if len(servers) > 1 {
				row.name = server + ": " + row.name
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (s scene) leaves(name string) bool {
	return slices.ContainsFunc(s.left, func(end string) bool { return strings.HasSuffix(name, end) })
}

// row makes a row of a figure; the rare percentiles have theirs with p50.
func (s scene) row(r *record, f *figure) (sceneRow, bool) {
	row := sceneRow{name: strings.TrimPrefix(f.Name, s.scenario+", "), main: f}
	parts := ranked.FindStringSubmatch(f.Name)
	if parts == nil {
		return row, true
	}
	row.name = strings.TrimPrefix(strings.TrimPrefix(parts[1], s.scenario+", ")+s.latency, "paced: ")
	for _, rank := range rare {
		row.rare = append(row.rare, r.find(f.Scenario, f.Server, parts[1]+": "+rank))
	}
	return row, parts[2] == "p50"
}

func (row sceneRow) cells(wide bool) []string {
	cells := []string{plain(row.name), row.main.whole()}
	for i := range rare {
		switch {
		case wide && row.rare == nil:
			cells = append(cells, "")
		case wide:
			cells = append(cells, row.rare[i].whole())
		}
	}
	return append(cells, row.main.count())
}

// sceneServers lists who took part in a scenario, ours first.
func (r *record) sceneServers(scenario string) []string {
	var all []string
	for _, f := range r.Figures {
		if f.Scenario == scenario && f.Server != "" && !isFloor(f.Server) && !slices.Contains(all, f.Server) {
			all = append(all, f.Server)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	return all
}
