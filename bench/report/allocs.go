package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// allocations is a record of make bench: what go test -bench -benchmem printed.
type allocations struct {
	file  string
	lines []benchmark
}

// benchmark is one line of it.
type benchmark struct {
	base    string // package and benchmark, as in hub.Publish
	name    string // with the case, as in hub.Publish/members=100
	objects float64
}

// free are the benchmarks of the way of a message: their goal is no allocation at all.
var free = []string{
	"hub.Publish", "internal/command.Parse", "internal/server.Command", "internal/server.FanOut",
	"internal/wire.AppendFrame", "internal/wire.NextWholeFrame", "netpoll.QueueShared", "netpoll.SendShared",
}

// parseAllocations keeps the lines that tell of allocations.
func parseAllocations(file, text string) (*allocations, error) {
	a := &allocations{file: file}
	pkg := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = strings.TrimPrefix(fields[1], "wsify/")
		}
		i := slices.Index(fields, "allocs/op")
		if i < 1 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		n, err := strconv.ParseFloat(fields[i-1], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", strings.TrimSpace(line), err)
		}
		name := withoutProcs(strings.TrimPrefix(fields[0], "Benchmark"))
		base, _, _ := strings.Cut(name, "/")
		a.lines = append(a.lines, benchmark{pkg + "." + base, pkg + "." + name, n})
	}
	if len(a.lines) == 0 {
		return nil, errors.New("it has no benchmark with allocs/op")
	}
	return a, nil
}

// withoutProcs takes off the -2 that go test appends on two processors.
func withoutProcs(name string) string {
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			return name[:i]
		}
	}
	return name
}

// row is the goal's row: the most that any run of the free benchmarks allocated.
func (a *allocations) row() goalRow {
	row := goalRow{title: "allocations on the way of a message", goal: "0"}
	if a == nil {
		row.verdict = never + ": run `make bench`"
		return row
	}
	worst, runs := 0.0, 0
	var seen, allocating, unseen []string
	for _, b := range a.lines {
		if !slices.Contains(free, b.base) {
			continue
		}
		runs++
		worst = max(worst, b.objects)
		seen = append(seen, b.base)
		if b.objects > 0 && !slices.Contains(allocating, b.name) {
			allocating = append(allocating, b.name)
		}
	}
	for _, name := range free {
		if !slices.Contains(seen, name) {
			unseen = append(unseen, name)
		}
	}
	row.file, row.count, row.measured = a.file, strconv.Itoa(runs), show(worst)+" at most"
	switch {
	case len(allocating) > 0:
		row.verdict = missed
		row.measured += ", in " + plain(strings.Join(allocating, ", "))
	case len(unseen) > 0:
		row.verdict = "not measured: " + plain(strings.Join(unseen, ", "))
	default:
		row.verdict = met
	}
	return row
}
