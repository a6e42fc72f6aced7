// Package scenario is what wsbench does to a server: each scenario is a round, which the runner has servers do in turn.
package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
	"wsify/bench/internal/worker"
)

// Scenario is one kind of load.
type Scenario struct {
	Name   string
	About  string             // what happens and what is measured, in a sentence
	Own    bool               // it starts, stops or configures the server itself
	Fresh  bool               // each round has a new server
	Asked  bool               // it runs only when it is named
	Ramps  string             // what a ramp may grow, as its p99 depends on it: connections, rate
	Noise  bool               // others make load beside what is measured
	Args   []string           // of the server, where it is wsify
	Limits map[string]float64 // goals: the most that a figure may be, by its name
	Setup  func(e *Env) error // once for each server; may be nil
	Round  func(e *Env) error
}

// MinConnections is the least that Sizes may have.
const MinConnections = 100

// Sizes are how large the load is.
type Sizes struct {
	Connections int
	Duration    time.Duration // of a phase
	Rate        float64       // deliveries, or messages, a second while latencies are measured
	Content     int           // bytes
	Quick       bool
}

// Env is what a round has to do with: one server, and the workers that are its clients.
type Env struct {
	Sizes
	Team   worker.Team
	Noise  worker.Team // for load beside what is measured: another process, where there is one
	Target swarm.Target
	Server *Server                       // nil for one that this run did not start
	Key    string                        // of POST /broadcast; empty: none
	Ctx    context.Context               // ends with the run, and ends what the run has started
	CPU    func() (time.Duration, error) // of the server so far, where it can be had
	Noted  func(text string)
	Log    io.Writer // what is said meanwhile

	samples []Sample
	void    string
	next    uint32 // number of the next publication
	base    int64  // memory of the server before the connections
}

// failure is what check and must panic with: the first error of a script ends the round, as FailNow ends a test.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// script makes a Setup or a Round of steps that call check and must, on the goroutine of the round.
func script(steps func(e *Env)) func(e *Env) error {
	return func(e *Env) (err error) {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case failure:
				err = p.error
			default:
				panic(p)
			}
		}()
		steps(e)
		return nil
	}
}

// during runs a load beside a measurement, and returns when both are over.
func during(load, measure func()) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(load)
	measure()
}

// with is e with other workers.
func (e *Env) with(t worker.Team) *Env {
	return &Env{Sizes: e.Sizes, Team: t, Target: e.Target, Server: e.Server, Noted: e.Noted, Log: e.Log}
}

// Knock opens one connection, so that what is wrong with a target is told once and at once.
var Knock = &Scenario{
	Name:  "first connection",
	Setup: script(func(e *Env) { e.Open(swarm.Plan{Group: "a first try", N: 1, Patience: 20}) }),
}

// ErrNoUsage is that nothing tells what the server uses.
var ErrNoUsage = errors.New("nothing tells what the server uses: it runs elsewhere, and there is no -metrics")

// Sample is a figure of one round.
type Sample struct {
	Name, Unit, Better string
	Cost               bool
	Value              float64
	Along              string // a curve along this has X; else ""
	X                  float64
}

// Sample takes a figure of this round. better is a direction of package record.
func (e *Env) Sample(name, unit, better string, value float64) {
	e.samples = append(e.samples, Sample{Name: name, Unit: unit, Better: better, Value: value})
}

// Cost takes CPU or memory: what two builds of a server are compared by.
func (e *Env) Cost(name, unit string, value float64) {
	e.samples = append(e.samples, Sample{Name: name, Unit: unit, Better: record.Lower, Cost: true, Value: value})
}

// Void says that this round counts for nothing, and why.
func (e *Env) Void(why string) { e.void = why }

// Take hands over the samples of the round and begins another. void says why they count for nothing.
func (e *Env) Take() (samples []Sample, void string) {
	samples, void = e.samples, e.void
	e.samples, e.void = nil, ""
	return samples, void
}

// pids are all processes of the run on this machine that have to be quiet.
func (e *Env) pids() (pids []int) {
	if e.Server != nil {
		pids = append(pids, e.Server.Pid())
	}
	for _, w := range e.Team {
		if w.Pid > 0 {
			pids = append(pids, w.Pid)
		}
	}
	return pids
}

// Load runs a load that is n operations, from one quiet moment to the next, and takes what one costs the server, and how
// many there are a second. what may have more behind it that tells it from others.
func (e *Env) Load(what, more string, load func() (n float64)) {
	process.Quiet(e.pids()...)
	before, unknown := e.CPU()
	busy, began := e.Team.Busy(), time.Now()
	n := load()
	wall := time.Since(began).Seconds()
	busy = (e.Team.Busy() - busy) / wall
	if !process.Quiet(e.pids()...) {
		e.Noted(what + more + ": the server was still busy a second after the load")
	}
	if n == 0 {
		check(fmt.Errorf("%s%s: nothing happened", what, more))
	}
	if after, err := e.CPU(); err == nil && unknown == nil {
		e.Cost("CPU of a "+what+more, "s", (after-before).Seconds()/n)
	}
	many := what + "s"
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		many = stem + "ies"
	}
	e.Sample(many+" a second"+more, "1/s", record.Higher, n/wall)
	if busy > 0.9 {
		e.Noted(what + more + ": a worker was busy more than nine tenths of the time, so rates and latencies may be the client's own")
	}
}

// P99 ends the names of figures that a ramp looks at.
const P99 = ", p99"

// Latencies takes median and p99 of a histogram of nanoseconds.
func (e *Env) Latencies(what string, l swarm.Latency) {
	if quantile(l, 100) == 0 {
		check(fmt.Errorf("%s: nothing was heard", what))
	}
	e.Sample(what+", median", "s", record.Lower, quantile(l, 50))
	e.Sample(what+P99, "s", record.Lower, quantile(l, 99))
}

func quantile(l swarm.Latency, q float64) float64 {
	h := ledger.NewHistogram()
	l.Merge(h)
	return float64(h.ValueAtQuantile(q)) / 1e9
}

// Open opens a group, says so when that takes long, and fails when one connection does.
func (e *Env) Open(p swarm.Plan) swarm.Opened {
	p.Target = e.Target
	if p.Window == 0 {
		p.Window = 256
	}
	defer time.AfterFunc(5*time.Second, func() {
		fmt.Fprintf(e.Log, "%d connections (%s) are still opening; they are given up when none opens for %v s\n", p.N, p.Group, cmp.Or(p.Patience, swarm.Patience))
	}).Stop()
	o := must(e.Team.Open(p))
	if o.Failed > 0 {
		check(fmt.Errorf("%d of %d connections of %s are open; the first that failed: %s", o.Open, p.N, p.Group, o.Error))
	}
	return o
}

// exact fails unless everything was heard exactly once.
func exact(what string, h swarm.Heard) {
	if h.Doubles > 0 || h.Missing > 0 {
		check(fmt.Errorf("%s: %d messages, %d of them missing, %d twice", what, h.Messages, h.Missing, h.Doubles))
	}
}
