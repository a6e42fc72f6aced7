package main

import (
	"fmt"
	"slices"
	"strings"
)

// goal is a limit that the first issue set, on one figure of the record of goals.
type goal struct {
	title    string // also the heading of its explanation in text/goals-missed.md
	scenario string
	name     string
	unit     string
	limit    float64
}

var goals = []goal{
	{"memory of an idle connection in one channel for all", "idle", "RSS per connection, one channel for all", "B", 200},
	{"own channel over shared", "idle", "own channel over shared", "B", 350},
	{"fan-out over floor", "fanout", "over floor, window 1", "ratio", 1.1},
	{"four publications in flight over one", "fanout", "window 4 over window 1", "ratio", 0.35},
	{"JSON round trip over floor", "echo", "over floor, 100 connections", "ratio", 1.3},
	{"CPU of connect and upgrade", "connect", "CPU, connect and upgrade", "CPU us per handshake", 30},
	{"memory after a burst, over idle", "burst", "RSS after the burst, over idle", "MB", 24},
	{"descriptors left after the churn", "churn", "descriptors left", "", 0},
}

// Verdicts. A row that is shown beside a goal has none.
const (
	met    = "met"
	missed = "**missed**"
	failed = "**failed**: see [Records](#records)"
	absent = "not in the record"
	never  = "not measured yet"
)

// goalRow is one line of the table of goals.
type goalRow struct {
	title    string
	variant  string // which wsify, when several were measured
	goal     string
	measured string
	spread   string
	count    string
	verdict  string
	file     string // the record's, "" when nothing was measured
}

// writeGoals writes the table, and under it the explanations of what was missed.
func (b *builder) writeGoals(p *page) error {
	p.para("## 1. Goals")
	rows := b.goalRows()
	cells := make([][]string, 0, len(rows))
	for _, r := range rows {
		title, file := r.title, ""
		if r.variant != "" {
			title += " (" + plain(r.variant) + ")"
		}
		if r.file != "" {
			file = link(r.file, b.links)
		}
		cells = append(cells, []string{title, r.goal, r.measured, r.spread, r.count, r.verdict, file})
	}
	p.table([]string{"goal", "limit", "median", "min..max", "n", "", "record"}, cells)
	p.para("Ratios to the floor are taken within a round. Latency beside a slow authorizer counts as met when the medians of p50 and p99 "+
		"are within %g times the highest sample alone; joins that are answered sooner, or with an error, keep the machine busy with "+
		"themselves and are not judged. The allocations are those of the Go benchmarks %s.", slowSlack, strings.Join(free, ", "))
	if slices.ContainsFunc(rows, func(r goalRow) bool { return strings.Contains(r.measured, "†") }) {
		p.para("† Not of the same run: from %s.", b.elsewhere.Source)
	}
	if r := b.lib.kinds["goals"]; r != nil {
		p.cite(r, b.links)
	} else {
		p.missing("bench-goals")
	}
	return b.explainMissed(p, rows)
}

// goalRows judges every wsify of the record of goals by every goal.
func (b *builder) goalRows() []goalRow {
	r := b.lib.kinds["goals"]
	var rows []goalRow
	for _, g := range goals {
		for _, variant := range ours(r) {
			rows = append(rows, g.judge(r, variant))
			if r != nil {
				rows = append(rows, g.wideFloors(r, variant)...)
			}
		}
	}
	for _, variant := range ours(r) {
		rows = append(rows, slowRows(r, variant)...)
	}
	rows = append(rows, b.lib.allocs.row())
	return append(rows, b.ancestorRows()...)
}

// ours names the servers of a record that are the tree, in one setting or several.
func ours(r *record) []string {
	var names []string
	if r != nil {
		for _, f := range r.Figures {
			if strings.HasPrefix(f.Server, "wsify") && !slices.Contains(names, f.Server) {
				names = append(names, f.Server)
			}
		}
	}
	if len(names) == 0 {
		names = []string{"wsify"}
	}
	return names
}

// fill takes over what was measured.
func (row *goalRow) fill(r *record, f *figure) {
	row.file, row.measured, row.spread, row.count = r.file, quantity(f.Median, f.Unit), f.spreadBeside(), f.count()
}

func (g goal) judge(r *record, variant string) goalRow {
	row := goalRow{title: g.title, goal: g.atMost(), variant: variantOf(variant)}
	if r == nil {
		row.verdict = never
		return row
	}
	f := r.find(g.scenario, variant, g.name)
	if f == nil {
		row.verdict = r.whyNot(g.scenario)
		return row
	}
	row.fill(r, f)
	row.verdict = missed
	if f.Median <= g.limit {
		row.verdict = met
	}
	return row
}

// variantOf is what tells a wsify from others of the record: nothing where it is the only one.
func variantOf(server string) string {
	if server == "wsify" {
		return ""
	}
	return server
}

// wideFloors sets beside a goal over the floor the same over floors of more threads.
func (g goal) wideFloors(r *record, variant string) []goalRow {
	what, ok := strings.CutPrefix(g.name, "over "+floorName+", ")
	if !ok {
		return nil
	}
	var rows []goalRow
	for i := range r.Figures {
		f := &r.Figures[i]
		floor, over := strings.CutPrefix(f.Name, "over ")
		floor, same := strings.CutSuffix(floor, ", "+what)
		if f.Scenario != g.scenario || f.Server != variant || f.X != nil || !over || !same || floor == floorName || !isFloor(floor) {
			continue
		}
		row := goalRow{title: strings.Replace(g.title, "over "+floorName, "over the "+floor, 1), variant: variantOf(variant)}
		row.fill(r, f)
		rows = append(rows, row)
	}
	return rows
}

// atMost writes the limit as it was set, without digits that it does not have.
func (g goal) atMost() string {
	limit := "≤ " + tickLabel(g.limit, "")
	if g.unit != "ratio" && g.unit != "" {
		limit += " " + g.unit
	}
	return limit
}

// explainMissed writes the explanation of each missed goal, or that there is none.
func (b *builder) explainMissed(p *page, rows []goalRow) error {
	sections, err := b.prose.sections("goals-missed", b.lib)
	if err != nil {
		return err
	}
	var titles []string
	for _, r := range rows {
		title := r.title
		if strings.HasPrefix(title, slowTitle) {
			title = slowTitle
		}
		if r.verdict == missed && !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	for _, heading := range sortedKeys(sections) {
		if !isGoal(heading) {
			return fmt.Errorf("text/goals-missed.md: %q is no goal", heading)
		}
	}
	for _, title := range titles {
		p.para("### Missed: %s", title)
		if text := sections[title]; text != "" {
			p.para("%s", text)
		} else {
			p.para("**Not explained yet.**")
		}
	}
	return nil
}

func isGoal(title string) bool {
	return title == slowTitle || title == new(allocations).row().title ||
		slices.ContainsFunc(goals, func(g goal) bool { return g.title == title })
}
