package main

import (
	"fmt"
	"strings"
)

// slowTitle is the goal that has no number: others notice nothing of a slow authorizer.
const slowTitle = "latency beside a slow authorizer"

// slowSlack is how far the median beside a slow authorizer may lie above the
// highest sample without one and still be called the same.
const slowSlack = 1.1

// judgedMoods are the ends of the names of what the goal speaks of: an authorizer that
// takes a second, and one that never answers. One that answers at once, or with an
// error, is asked again at once: that load is felt, whoever serves it.
var judgedMoods = []string{"joins that take 1s", "joins that hang"}

// slowRows compares round trips beside each slow authorizer with those alone.
func slowRows(r *record, variant string) []goalRow {
	row := goalRow{title: slowTitle, variant: variantOf(variant), goal: "as alone"}
	if r == nil {
		row.verdict = never
		return []goalRow{row}
	}
	var rows []goalRow
	seen := make(map[string]bool)
	for _, beside := range r.besides("authorizer", variant) {
		rows = append(rows, slowRow(row, r, variant, beside))
		seen[moodOf(beside)] = true
	}
	for _, mood := range judgedMoods {
		if !seen[mood] {
			missing := row
			missing.title += ", " + mood
			missing.verdict = r.whyNot("authorizer")
			rows = append(rows, missing)
		}
	}
	return rows
}

// besides lists what the latency of others was measured beside, as "1000 joins that hang".
func (r *record) besides(scenario, server string) []string {
	var all []string
	for _, f := range r.Figures {
		beside, ok := strings.CutPrefix(f.Name, "others beside ")
		beside, p50 := strings.CutSuffix(beside, ": p50")
		if ok && p50 && f.Scenario == scenario && f.Server == server && f.X == nil {
			all = append(all, beside)
		}
	}
	return all
}

// moodOf is the judged mood, "" for one that is shown alone.
func moodOf(beside string) string {
	for _, mood := range judgedMoods {
		if beside == mood || strings.HasSuffix(beside, " "+mood) {
			return mood
		}
	}
	return ""
}

func slowRow(row goalRow, r *record, variant, beside string) goalRow {
	row.title += ", " + plain(beside)
	row.file = r.file
	var measured []string
	same, compared := true, false
	for _, rank := range []string{"p50", "p99"} {
		f := r.find("authorizer", variant, "others beside "+beside+": "+rank)
		alone := r.find("authorizer", variant, "others alone: "+rank)
		if f == nil || alone == nil {
			continue
		}
		compared = true
		same = same && f.Median <= slowSlack*alone.Max
		measured = append(measured, fmt.Sprintf("%s %s, alone %s", rank, quantity(f.Median, f.Unit), quantity(alone.Median, alone.Unit)))
		if rank == "p50" {
			row.spread, row.count = f.spreadBeside(), f.count()
		}
	}
	row.measured = strings.Join(measured, "; ")
	switch {
	case moodOf(beside) == "":
		row.goal = ""
	case !compared:
		row.verdict = r.whyNot("authorizer")
	case same:
		row.verdict = met
	default:
		row.verdict = missed
	}
	return row
}
