package scenario

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// engines connect nodes. Killed and started, they have what they kept. A subscriber of Redis may be a gigabyte behind
// before it is closed: it shares its processors.
var engines = []Contender{
	{Name: "redis", Command: []string{"redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", "{dir}", "--client-output-buffer-limit", "pubsub 1gb 0 0"}},
	{Name: "nats", Command: []string{"nats-server", "-a", "127.0.0.1", "-p", "{port}", "-js", "-sd", "{dir}"}},
}

// onEngines makes a round of what is done with each engine that is installed; args are those of a node.
func onEngines(steps func(e *Env, engine *Server, args []string)) func(e *Env) error {
	return func(e *Env) error {
		for _, c := range engines {
			if _, err := exec.LookPath(c.Command[0]); err != nil {
				e.Noted(fmt.Sprintf("there is no %s: apt-get install %[1]s", c.Command[0]))
				continue
			}
			err := script(func(e *Env) {
				dir := must(os.MkdirTemp("", "wsbench"))
				defer os.RemoveAll(dir)
				c.Command = strings.Split(strings.ReplaceAll(strings.Join(c.Command, "\x00"), "{dir}", dir), "\x00")
				engine := must(c.Start(e.Ctx))
				defer func() { engine.Kill() }() // the one that runs then
				steps(e, engine, []string{"-broker-driver", c.Name, "-broker-dsn", c.Name + "://" + engine.Addr + map[string]string{"redis": "?durable=true"}[c.Name]})
			})(e)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		return nil
	}
}

var nodes = &Scenario{
	Name: "nodes", Ramps: "rate", About: "two nodes through Redis and NATS: what is published at one and heard at the other, in rate, CPU of both nodes and of the engine, and latency", Own: true, Asked: true,
	Round: onEngines(func(e *Env, g *Server, args []string) {
		here := must(e.Server.Contender.Start(e.Ctx, args...))
		defer here.Kill()
		there := must(e.Server.Contender.Start(e.Ctx, args...))
		defer there.Kill()
		n := min(e.Connections, 1000)
		two := e.with(e.Team)
		two.Connections = n
		two.CPU = func() (sum time.Duration, err error) {
			for _, pid := range []int{here.Pid(), there.Pid(), g.Pid()} {
				t, bad := process.CPU(pid)
				sum, err = sum+t, errors.Join(err, bad)
			}
			return sum, err
		}
		two.Target.Addr = there.Addr
		two.Open(swarm.Plan{Group: members, N: n, Channel: "c", Joins: 1})
		defer func() { _ = e.Team.Shut(members, false); _ = e.Team.Shut(publishers, false) }()
		two.Target.Addr = here.Addr
		two.publisher()
		two.inFlight(" at the other node, "+g.Name, 4, 100)
		two.paced("delivery at the other node, "+g.Name, swarm.Talk{Channel: "c"}, n)
		e.samples = append(e.samples, two.samples...)
	}),
}

var resubscribe = &Scenario{
	Name: "resubscribe", About: "channels with a member each, then the engine is killed and started: how long until all are subscribed to again, with no connection lost", Own: true, Asked: true,
	Round: onEngines(func(e *Env, g *Server, args []string) {
		node := must(e.Server.Contender.Start(e.Ctx, args...))
		defer node.Kill()
		one := e.with(e.Team)
		one.Target.Addr = node.Addr
		o := one.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "s", Spread: e.Connections, Joins: 1})
		defer func() { _ = e.Team.Shut(members, false); _ = e.Team.Shut(publishers, false) }()
		e.Sample("joins a second, "+g.Name, "1/s", record.Higher, float64(o.Open)/o.Seconds)
		one.Connections = 1
		one.publisher()
		g.Kill()
		check(g.Restart(e.Ctx))
		began := time.Now()
		one.allHear(e.Connections)
		e.Sample("every channel is heard again after, "+g.Name, "s", record.Lower, time.Since(began).Seconds())
		ends := must(e.Team.Heard(members, 0)).Ends
		e.Sample("connections lost, "+g.Name, "", record.Lower, float64(e.Connections-ends.Open))
	}),
}

// allHear publishes to each channel of its own until all members have heard something.
func (e *Env) allHear(n int) {
	for heard := errors.New("not yet"); heard != nil; heard = e.Team.Await(members, 0, 2) {
		check(e.Team.Watch(members, 0, 1, n))
		must(e.Team.Say(swarm.Talk{Group: publishers, Channel: "s", Channels: n, Count: n, Size: e.Content}))
	}
}

var All = []*Scenario{
	idle, pings, connect, storm, fanout, mesh, burst, echo, post, slow, slowloris, talkers, churn, authorizer, drain, drops, dropsNodes, nodes, resubscribe, restart, million,
}
