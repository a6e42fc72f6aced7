package scenario

import (
	"fmt"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// settled waits until the server's memory rests, and returns it. Servers give memory back some seconds after a load.
func (e *Env) settled() int64 {
	if e.Quick {
		return must(process.Settled(e.Server.Pid(), 3*time.Second))
	}
	e.Server.Await(5 * time.Second)
	return must(process.Settled(e.Server.Pid(), 20*time.Second))
}

var idle = &Scenario{
	Name: "idle", About: "memory of connections at rest, of the server and of the kernel: all in one channel, and in a channel of their own each",
	Own: true, Fresh: true,
	Limits: map[string]float64{"memory of a connection": 200},
	Round: script(func(e *Env) {
		kernel := process.KernelMemory()
		for _, own := range []bool{false, true} {
			if own {
				check(e.Team.Shut(members, false))
				e.Server.Kill()
				check(e.Server.Restart(e.Ctx))
			}
			before := e.settled()
			e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Own: own, Joins: 1})
			each := float64(e.settled()-before) / float64(e.Connections)
			if own {
				e.Cost("memory of a connection with a channel of its own", "B", each)
				continue
			}
			e.Cost("memory of a connection", "B", each)
			e.Sample("kernel memory of a connection, both ends", "B", record.Fact, float64(process.KernelMemory()-kernel)/float64(e.Connections))
		}
	}),
}

var pings = &Scenario{
	Name: "pings", About: "connections at rest that are pinged every second: CPU of a ping and its pong",
	Own: true, Args: []string{"-ping-interval", "1s"},
	Setup: script(func(e *Env) { e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Joins: 1}) }),
	Round: script(func(e *Env) {
		e.Load("ping", "", func() float64 {
			before := must(e.Team.Heard(members, 0)).Ends.Pings
			e.Server.Await(max(e.Duration, 2*time.Second)) // nothing to wait for: this is the load
			after := must(e.Team.Heard(members, 0)).Ends.Pings
			if after == before {
				e.Void("the server sent no ping")
			}
			return max(float64(after-before), 1)
		})
	}),
}

// overflow begins a round that is void when the kernel drops connections before the end that it returns.
func (e *Env) overflow() func() {
	before := process.ListenOverflows()
	return func() {
		if n := process.ListenOverflows() - before; n > 0 && e.Server != nil {
			e.Void(fmt.Sprintf("the queue of the listener was full %v times", n))
		}
	}
}

var connect = &Scenario{
	Name: "connect", About: "connect and upgrade, 64 at a time, and the closes that follow",
	Round: script(func(e *Env) {
		defer e.overflow()()
		n := min(e.Connections, 4000)
		var o swarm.Opened
		e.Load("handshake", "", func() float64 {
			o = e.Open(swarm.Plan{Group: "fresh", N: n, Window: 64})
			return float64(n)
		})
		e.Sample("a handshake takes, median", "s", record.Lower, quantile(o.Latency, 50))
		e.Load("close", "", func() float64 {
			check(e.Team.Shut("fresh", false))
			return float64(n)
		})
	}),
}

var storm = &Scenario{
	Name: "storm", Ramps: "connections", About: "everybody connects, upgrades and joins at once; a client that is refused with 503 comes again when Retry-After is over",
	Fresh: true, Own: true,
	Round: script(func(e *Env) {
		defer e.overflow()()
		var o swarm.Opened
		e.Load("client", " that comes back", func() float64 {
			o = e.Open(swarm.Plan{Group: members, N: e.Connections, Window: 2000, Channel: "c", Joins: 1, Retry: true})
			return float64(o.Open)
		})
		e.Sample("everybody is a member again after", "s", record.Lower, o.Seconds)
		e.Sample("time until a client is a member"+P99, "s", record.Lower, quantile(o.Latency, 99))
		e.Sample("clients refused with 503", "", record.Fact, float64(o.Retries))
	}),
}

// million opens everything once. It is bounded by progress, not by time (swarm.Patience).
var million = &Scenario{
	Name: "million", About: "as many connections as -connections says, all in one channel: memory of each, and a publication to all", Own: true, Asked: true,
	Args: []string{"-ping-interval", "10m", "-pong-timeout", "20m", "-handshake-timeout", "1m"},
	Setup: script(func(e *Env) {
		e.publisher()
		e.base = e.settled()
		o := e.Open(swarm.Plan{Group: members, N: e.Connections, Window: 1000, Channel: "c", Joins: 1, Retry: true})
		e.Noted(fmt.Sprintf("everybody was a member after %.0f s", o.Seconds))
	}),
	Round: script(func(e *Env) {
		e.Cost("memory of a connection", "B", float64(e.settled()-e.base)/float64(e.Connections))
		e.everybody(1, 600)
	}),
}
