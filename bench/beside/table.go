//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// print writes both summaries side by side. What is missing is a dash.
func (b *bench) print(t tool, results map[string]result, r *record) {
	fmt.Fprintf(b.stdout, "\n%s beside wsbench: %s, %d connections, %g a second, %d bytes of content, %v\n",
		t.name(), b.server, b.connections, b.rate, b.size, b.duration)
	w := tabwriter.NewWriter(b.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "script\tfigure\tunit\t%s\twsbench\n", t.name())
	for _, row := range t.rows(b.connections) {
		if !slices.Contains(b.names(t.scripts()), row.script) {
			continue
		}
		theirs := math.NaN()
		if found, ok := results[row.script]; ok {
			theirs = row.value(found)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", row.script, row.label, row.unit, show(theirs), show(r.median(row.ours)))
	}
	w.Flush()
	for _, note := range t.notes(results) {
		fmt.Fprintf(b.stdout, "note: %s\n", note)
	}
	fmt.Fprintln(b.stdout, "note: wsbench's rates and CPU are those of loads as fast as the server answers; its fan-out and echo latencies are at the rate of the scripts.")
}

// show prints a figure with about four digits, and NaN as a dash.
func show(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	decimals := 3
	switch size := max(v, -v); {
	case size >= 1000:
		decimals = 0
	case size >= 100:
		decimals = 1
	case size >= 10:
		decimals = 2
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
