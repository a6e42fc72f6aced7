package scenario

import (
	"fmt"
	"slices"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

const (
	members    = "members"
	publishers = "publishers"
)

// awaitSeconds is how long a publication may take to reach everybody.
const awaitSeconds = 30

var fanout = &Scenario{
	Name: "fanout", Ramps: "connections, rate", About: "content to everybody in one channel: one publication in flight, four, and at a steady rate",
	Setup: script(func(e *Env) { e.audience(swarm.Plan{Channel: "c", Joins: 1}) }),
	Round: script(func(e *Env) {
		e.inFlight(", one publication in flight", 1, 12)
		e.inFlight(", four in flight", 4, 24)
		e.paced("delivery", swarm.Talk{Channel: "c"}, e.Connections)
	}),
}

func (e *Env) audience(p swarm.Plan) {
	p.Group, p.N = members, e.Connections
	e.Open(p)
	e.publisher()
}

// publisher opens a client that publishes, with the first worker.
func (e *Env) publisher() {
	e.with(e.Team[:1]).Open(swarm.Plan{Group: publishers, N: 1, First: e.Connections, Channel: "nobody"})
}

// say has the publisher publish count contents to "c", numbered from e.next on.
func (e *Env) say(count int) {
	first := e.next
	e.next += uint32(count)
	must(e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Count: count, First: first, Size: e.Content}))
}

// inFlight publishes so that at most k publications have not reached everybody.
func (e *Env) inFlight(more string, k, count int) {
	check(e.Team.Watch(members, e.next, count, e.Connections))
	var last []float64
	e.Load("delivery", more, func() float64 {
		for begun, heard := 0, 0; heard < count; heard++ {
			for begun < min(heard+k, count) {
				e.say(1)
				begun++
			}
			before := time.Now()
			check(e.Team.Await(members, e.next-uint32(begun)+uint32(heard), awaitSeconds))
			last = append(last, time.Since(before).Seconds())
		}
		return float64(count * e.Connections)
	})
	if k == 1 {
		slices.Sort(last)
		e.Sample("last member heard after", "s", record.Lower, last[len(last)/2])
	}
	exact("delivery"+more, must(e.Team.Heard(members, e.next)))
}

// everybody publishes count contents at once, and waits until everybody has heard them.
func (e *Env) everybody(count int, patience float64) {
	check(e.Team.Watch(members, e.next, count, e.Connections))
	e.Load("delivery", "", func() float64 {
		began := time.Now()
		e.say(count)
		check(e.Team.Await(members, e.next-1, patience))
		e.Sample("last member heard after", "s", record.Lower, time.Since(began).Seconds())
		return float64(count * e.Connections)
	})
	exact("delivery", must(e.Team.Heard(members, e.next)))
}

// paced publishes at a steady rate of deliveries, of which a publication makes so many, and takes their latency
// from when each publication was due.
func (e *Env) paced(what string, t swarm.Talk, each int) {
	t.Group, t.Size, t.Seconds, t.First = publishers, e.Content, e.Duration.Seconds(), e.next
	t.Rate = max(e.Rate/float64(each), 2/t.Seconds)
	check(e.Team.Watch(members, e.next, 0, 0))
	must(e.Team.Say(t))
	time.Sleep(300 * time.Millisecond) // what is under way arrives
	h := must(e.Team.Heard(members, 0))
	e.next += uint32(h.Messages)/uint32(each) + 64
	e.Latencies("latency of a "+what+" at a steady rate", h.Latency)
}

var mesh = &Scenario{
	Name: "mesh", Ramps: "connections, rate", About: "connections spread over many channels, all of them published to",
	Setup: script(func(e *Env) { e.audience(swarm.Plan{Channel: "m", Spread: e.channels(), Joins: 1}) }),
	Round: script(func(e *Env) {
		channels, each := e.channels(), 8
		t := swarm.Talk{Group: publishers, Channel: "m", Channels: channels, Count: each * channels, First: e.next, Size: e.Content}
		check(e.Team.Watch(members, e.next, 0, 0))
		e.next += uint32(each)
		e.Load("delivery", "", func() float64 {
			must(e.Team.Say(t))
			return e.until(uint64(each * e.Connections))
		})
		exact("mesh", must(e.Team.Heard(members, e.next)))
		e.paced("delivery", swarm.Talk{Channel: "m", Channels: channels}, e.Connections/channels)
	}),
}

// channels is how many the mesh has: a hundred members each.
func (e *Env) channels() int { return max(e.Connections/100, 1) }

// until waits until members have heard so many messages, and returns how many they have heard.
func (e *Env) until(want uint64) float64 {
	var h swarm.Heard
	for end := time.Now().Add(awaitSeconds * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if h = must(e.Team.Heard(members, 0)); h.Messages >= want {
			return float64(h.Messages)
		}
	}
	panic(failure{fmt.Errorf("%d of %d messages were heard within %d s", h.Messages, want, awaitSeconds)})
}

var burst = &Scenario{
	Name: "burst", About: "200 publications of 1 KiB to everybody at once: how long they take, and what memory stays",
	Own: true, Fresh: true,
	Round: script(func(e *Env) {
		e.audience(swarm.Plan{Channel: "c", Joins: 1})
		before := e.settled()
		e.next, e.Content = 0, 1<<10
		e.everybody(200, awaitSeconds)
		e.Sample("memory that stays", "B", record.Lower, float64(max(e.settled()-before, 0)))
	}),
}
