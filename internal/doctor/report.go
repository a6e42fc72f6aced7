package doctor

import (
	"cmp"
	"math"
	"slices"
)

// Status is the result of a check, the best first.
type Status uint8

// The statuses. With a warning the server works, and something costs more than it need. A
// problem means that it does not work, or does not hold what was asked.
const (
	OK Status = iota
	Warning
	Problem
)

var statusNames = [...]string{OK: "ok", Warning: "warning", Problem: "problem"}

// String returns the status as it is shown.
func (s Status) String() string { return statusNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// noBound is the number of connections that a check without a limit allows.
const noBound = math.MaxInt64

// Finding is the result of one check.
type Finding struct {
	Check  string
	Status Status
	Text   string // sentences
	Holds  int64  // the connections that it allows, or noBound
	Change []Change
}

// Change is a line to write somewhere.
type Change struct{ Where, Line string }

// Report is what the facts mean.
type Report struct {
	Asked    int64 // how many connections the machine is to hold; 0 when nobody said so
	Target   int64 // how many it would hold with the changes, and the memory that it has
	Findings []Finding
	Unseen   []string // limits that could not be read
}

// Status returns the worst of all findings.
func (r *Report) Status() (worst Status) {
	for _, f := range r.Findings {
		worst = max(worst, f.Status)
	}
	return worst
}

// Bounds returns the findings that limit the number of connections, the least first.
func (r *Report) Bounds() (bounds []Finding) {
	for _, f := range r.Findings {
		if f.Holds != noBound {
			bounds = append(bounds, f)
		}
	}
	slices.SortStableFunc(bounds, func(a, b Finding) int { return cmp.Compare(a.Holds, b.Holds) })
	return bounds
}

// Holds returns how many connections the machine can hold; noBound when no limit is known.
func (r *Report) Holds() int64 {
	if bounds := r.Bounds(); len(bounds) > 0 {
		return bounds[0].Holds
	}
	return noBound
}

// place is where to write, and what.
type place struct {
	where string
	lines []string
}

// places returns all changes by where they are to be made, each line once.
func (r *Report) places() (all []place) {
	for _, f := range r.Findings {
		for _, change := range f.Change {
			at := slices.IndexFunc(all, func(p place) bool { return p.where == change.Where })
			if at < 0 {
				at, all = len(all), append(all, place{where: change.Where})
			}
			if !slices.Contains(all[at].lines, change.Line) {
				all[at].lines = append(all[at].lines, change.Line)
			}
		}
	}
	return all
}

// usualTarget is what the server is made for: without a number, changes are for that.
const usualTarget = 1_000_000

// Examine makes a report of the facts. asked is how many connections the machine is to
// hold, or 0.
func Examine(f *Facts, asked int64) *Report {
	c := &checker{Facts: f, report: &Report{Asked: asked, Target: asked}, needed: asked}
	if asked == 0 {
		c.report.Target = min(usualTarget, c.memoryHolds())
	}
	c.descriptors()
	c.kernelFiles()
	c.watches()
	c.memory()
	c.maxMemory()
	c.conntrack()
	c.ports()
	c.perAddress()
	c.maximum()
	if asked == 0 {
		if c.needed = c.report.Holds(); c.needed == noBound {
			c.needed = 0
		}
		c.report.Target = max(c.report.Target, c.needed)
	}
	c.goLimit()
	c.tcpMemory()
	c.socketBuffers()
	c.queues()
	c.processors()
	c.clock()
	c.authorizer()
	c.events()
	c.broker()
	c.listeners()
	return c.report
}

// checker makes the findings of a report.
type checker struct {
	*Facts
	report *Report
	needed int64 // connections that there have to be room for
}

func (c *checker) add(f Finding) { c.report.Findings = append(c.report.Findings, f) }

// say adds a finding that is no bound.
func (c *checker) say(check string, status Status, text string, change ...Change) {
	c.add(Finding{Check: check, Status: status, Text: text, Holds: noBound, Change: change})
}

// bound adds a finding that limits the number of connections. change is left out where
// nothing has to change.
func (c *checker) bound(check string, holds int64, text string, change ...Change) {
	if holds >= unlimited/2 {
		c.say(check, OK, text)
		return
	}
	f := Finding{Check: check, Text: text, Holds: max(holds, 0)}
	if c.report.Asked > f.Holds {
		f.Status = Problem
	}
	if c.report.Target > f.Holds {
		f.Change = change
	}
	c.add(f)
}

// unseen notes that a limit could not be read.
func (c *checker) unseen(name string) { c.report.Unseen = append(c.report.Unseen, name) }
