//go:build linux

package main

import (
	"fmt"
	"time"
)

// costs collects the samples of one server in one phase, a sample a round.
type costs struct {
	sched, stat, clock []float64 // CPU us per operation, by the system's three accounts
	user, system       []float64 // the first, divided as the second is
	rate               []float64 // operations per second of wall time
	busiest            []float64 // share of a core that the busiest thread of the generator used
	noise              int       // rounds in which the process was not quiet around the load
	latency            latencySeries
}

// table is the costs of every server in one phase, by name.
type table map[string]*costs

func (t table) of(name string) *costs {
	if t[name] == nil {
		t[name] = new(costs)
	}
	return t[name]
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// add counts n operations that cost so much.
func (c *costs) add(n int, p spent) {
	per := func(d time.Duration) float64 { return micro(d) / float64(n) }
	sched := per(p.cpu.Sched)
	c.sched = append(c.sched, sched)
	c.stat = append(c.stat, per(p.cpu.Stat))
	c.clock = append(c.clock, per(p.cpu.Clock))
	c.user = append(c.user, sched*p.cpu.userShare())
	c.system = append(c.system, sched*(1-p.cpu.userShare()))
	c.rate = append(c.rate, float64(n)/p.wall.Seconds())
	c.busiest = append(c.busiest, p.busiest)
	c.noise += p.noise
}

// costNames are the words of one phase's figures.
type costNames struct {
	what      string // the phase
	unit      string // an operation, as in "CPU us per delivery"
	rate      string // operations per second
	goal      string // of the tree's CPU per operation
	floorGoal string // of the tree's CPU over the floor's
}

func (b *bench) names() []string {
	var names []string
	for _, c := range b.contenders {
		names = append(names, c.name)
	}
	return names
}

// addCosts records one phase: CPU of each server, in all and divided, its ratio to
// the floor of the same rounds, rates, and how busy the generator was.
func (b *bench) addCosts(t table, w costNames) {
	unit := "CPU us per " + w.unit
	floor := t[floorName]
	if floor != nil {
		b.record.add(floorName, "CPU, "+w.what, unit, "", floor.sched...)
	}
	for i, name := range b.names() {
		c := t[name]
		if c == nil {
			continue
		}
		goal, floorGoal := "", ""
		if i == 0 {
			goal, floorGoal = w.goal, w.floorGoal
		}
		b.record.add(name, "CPU, "+w.what, unit, goal, c.sched...)
		b.record.detail(name, "user CPU, "+w.what, unit, c.user...)
		b.record.detail(name, "system CPU, "+w.what, unit, c.system...)
		if floor != nil {
			b.record.add(name, "over floor, "+w.what, "ratio", floorGoal, ratios(c.sched, floor.sched)...)
		}
	}
	for _, name := range append([]string{floorName}, b.names()...) {
		if c := t[name]; c != nil {
			b.addChecks(name, c, w)
		}
	}
}

// addChecks records rates and what tells whether to believe the figures.
func (b *bench) addChecks(name string, c *costs, w costNames) {
	unit := "CPU us per " + w.unit
	b.record.add(name, "rate, "+w.what, w.rate, "", c.rate...)
	b.record.detail(name, "CPU, "+w.what+", by utime+stime", unit, c.stat...)
	b.record.detail(name, "CPU, "+w.what+", by the CPU clock", unit, c.clock...)
	b.checkClocks(name+", "+w.what, c)
	b.record.addGenerator(name, w.what, c.busiest)
	b.record.addNoise(name, w.what, c.noise)
}

// checkClocks says when the system's two fine clocks disagree: schedstat forgets
// threads that ended.
func (b *bench) checkClocks(name string, c *costs) {
	sched, clock := summarize(c.sched).Median, summarize(c.clock).Median
	if diff := sched - clock; diff > clock/20 || diff < -clock/20 {
		b.record.remark("%s: schedstat says %s, the CPU clock %s CPU us", name, show(sched), show(clock))
	}
}

// generatorBusy is the share of a core from which on the generator, and not what it
// measures, sets the pace.
const generatorBusy = 0.9

// addGenerator tells how busy the generator was, and says so if it was too busy.
// Then rates and latencies are the generator's; CPU per operation still holds.
func (r *record) addGenerator(server, what string, busiest []float64) {
	if summarize(busiest).Max == 0 {
		return // a phase whose threads nobody knows
	}
	r.detail("", fmt.Sprintf("generator's busiest thread: %s, %s", server, what), "cores", busiest...)
	if busy := summarize(busiest).Median; busy >= generatorBusy {
		r.remark("%s, %s: the client was the bottleneck, its busiest thread used %.0f %% of a core; rates and latencies are its own", server, what, busy*100)
	}
}
