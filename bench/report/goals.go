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
}

// slowTitle is the goal that has no number: others notice nothing of a slow authorizer.
const slowTitle = "latency beside a slow authorizer"

// slowSlack is how far the median beside a slow authorizer may lie above the
// highest sample without one and still be called the same.
const slowSlack = 1.1

const (
	met    = "met"
	missed = "**missed**"
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
	p.para("Ratios to the floor are taken within a round. Latency beside a slow authorizer counts as met when the median "+
		"is within %g times the highest sample alone. The allocations are those of the Go benchmarks %s.",
		slowSlack, strings.Join(free, ", "))
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
		}
	}
	for _, variant := range ours(r) {
		rows = append(rows, slowRows(r, variant)...)
	}
	return append(rows, b.lib.allocs.row())
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

func (g goal) judge(r *record, variant string) goalRow {
	row := goalRow{title: g.title, goal: g.atMost()}
	if variant != "wsify" {
		row.variant = variant
	}
	if r == nil {
		row.verdict = "not measured yet"
		return row
	}
	f := r.find(g.scenario, variant, g.name)
	if f == nil {
		row.verdict = "not in the record"
		return row
	}
	row.file, row.measured, row.spread, row.count = r.file, quantity(f.Median, f.Unit), f.spread(), f.count()
	row.verdict = missed
	if f.Median <= g.limit {
		row.verdict = met
	}
	return row
}

// atMost writes the limit as it was set, without digits that it does not have.
func (g goal) atMost() string {
	limit := "≤ " + tickLabel(g.limit, "")
	if g.unit != "ratio" {
		limit += " " + g.unit
	}
	return limit
}

// slowRows compares round trips beside each slow authorizer with those alone.
func slowRows(r *record, variant string) []goalRow {
	row := goalRow{title: slowTitle, goal: "as alone"}
	if variant != "wsify" {
		row.variant = variant
	}
	if r == nil {
		row.verdict = "not measured yet"
		return []goalRow{row}
	}
	alone := r.find("authorizer", variant, "others alone: p50")
	var rows []goalRow
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Scenario != "authorizer" || f.Server != variant || f.X != nil {
			continue
		}
		beside, ok := strings.CutPrefix(f.Name, "others beside ")
		if beside, p50 := strings.CutSuffix(beside, ": p50"); ok && p50 && alone != nil {
			rows = append(rows, judgeSlow(row, r, beside, f, alone))
		}
	}
	if len(rows) == 0 {
		row.verdict = "not in the record"
		return []goalRow{row}
	}
	return rows
}

func judgeSlow(row goalRow, r *record, beside string, f, alone *figure) goalRow {
	row.title += ", " + plain(beside)
	row.file, row.spread, row.count = r.file, f.spread(), f.count()
	row.measured = fmt.Sprintf("p50 %s, alone %s", quantity(f.Median, f.Unit), quantity(alone.Median, alone.Unit))
	p99, p99Alone := r.find("authorizer", f.Server, "others beside "+beside+": p99"), r.find("authorizer", f.Server, "others alone: p99")
	if p99 != nil && p99Alone != nil {
		row.measured += fmt.Sprintf("; p99 %s, alone %s", quantity(p99.Median, p99.Unit), quantity(p99Alone.Median, p99Alone.Unit))
	}
	row.verdict = missed
	if f.Median <= slowSlack*alone.Max {
		row.verdict = met
	}
	return row
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
