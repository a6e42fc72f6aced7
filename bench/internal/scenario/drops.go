package scenario

import (
	"fmt"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

const (
	replay = "from a client's join to the last message it missed"
	gaps   = "clients told that they missed something"
)

// keeps has nodes keep what drops publishes. JetStream wants the prefix.
var keeps = []string{"-history-channels", "d", "-broker-prefix", "wsbench."}

var drops = &Scenario{
	Name: "drops", About: "10,000 clients are cut off once each, at a random time, and come back after 2 s with their position: each hears what was acknowledged to the publisher, once and in order, or is told of a gap; and how long it takes to catch up",
	Own: true, Asked: true, Args: keeps, Limits: map[string]float64{replay + P99: 0.5, gaps: 0},
	Round: script(func(e *Env) { e.dropped("", e.Server.Addr, e.Server.Addr) }),
}

var dropsNodes = &Scenario{
	Name: "drops-nodes", About: "the same on two nodes, of which one is published to, through Redis and NATS: undisturbed, and while first the engine and then the other node are killed, and start again a second later",
	Own: true, Asked: true, Limits: map[string]float64{replay + ", redis" + P99: 0.5, replay + ", nats" + P99: 0.5, gaps + ", redis": 0, gaps + ", nats": 0, gaps + ", redis and a node killed": 0, gaps + ", nats and a node killed": 0},
	Round: onEngines(func(e *Env, g *Server, args []string) {
		args = append(args, keeps...)
		here := must(e.Server.Contender.Start(e.Ctx, args...))
		defer here.Kill()
		there := must(e.Server.Contender.Start(e.Ctx, args...))
		defer func() { there.Kill() }()
		both := here.Addr + "," + there.Addr
		e.dropped(", "+g.Name, here.Addr, both)
		e.dropped(", "+g.Name+" and a node killed", here.Addr, both, g, there)
	}),
}

// dropped cuts off clients of nodes while one of these is published to, and victims are killed and started one after the other.
func (e *Env) dropped(more, node, nodes string, victims ...*Server) {
	n, count := min(e.Connections, 10000), 120
	if e.Quick {
		count = 40
	}
	rate := e.Rate / float64(n)
	length := float64(count-1) / rate
	clients, backend := e.with(e.Team), e.with(e.Team[:1])
	clients.Target.Addr, backend.Target.Addr = nodes, node
	backend.Open(swarm.Plan{Group: publishers, N: 1, HTTP: true})
	clients.Open(swarm.Plan{Group: members, N: n, Channel: "d", Joins: 1, Recover: true, Return: true, Drop: length})
	defer func() { _ = e.Team.Shut(members, false); _ = e.Team.Shut(publishers, false) }()
	check(e.Team.Watch(members, e.next, 0, 0))
	var said swarm.Heard
	var bad error
	during(func() {
		said, bad = e.Team.Say(swarm.Talk{Group: publishers, Channel: "d", Count: count, Rate: rate, First: e.next, Size: e.Content})
	}, func() {
		for _, v := range victims {
			time.Sleep(time.Duration(length / 4 * 1e9))
			v.Kill()
			time.Sleep(time.Second)
			check(v.Restart(e.Ctx))
		}
	})
	check(bad)
	var h swarm.Heard
	for until := time.Now().Add(awaitSeconds * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		h = must(e.Team.Heard(members, e.next+uint32(said.Messages), said.Without...))
		if h.Missing == 0 && h.Ends.Open == n && len(h.Ends.Back) >= n {
			break
		}
	}
	e.next += uint32(count)
	if exact("drops"+more, h); h.Ends.Open < n {
		check(fmt.Errorf("drops%s: %d of %d clients are back", more, h.Ends.Open, n))
	}
	e.Sample("publications acknowledged"+more, "", record.Fact, float64(said.Messages-said.Refused))
	e.Sample("messages heard"+more, "", record.Fact, float64(h.Messages))
	e.Sample("clients that came back"+more, "", record.Fact, float64(len(h.Ends.Back)))
	e.Sample(gaps+more, "", record.Lower, float64(h.Gaps))
	e.Latencies(replay+more, h.Latency)
}
