package scenario

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// engine is a server of Redis or NATS.
type engine struct {
	*process.Child
	driver string
	addr   string
}

// startEngine starts one on a port; 0 is a free one. An engine that is not installed is an error that says how
// to get it.
func startEngine(f *process.Family, driver, addr string) (*engine, error) {
	program := driver + "-server"
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("there is no %s: apt-get install %s", program, program)
	}
	if addr == "" {
		port, err := process.FreePort()
		if err != nil {
			return nil, err
		}
		addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	_, port, _ := net.SplitHostPort(addr)
	// A subscriber may be a gigabyte behind before it is closed: it shares its processors.
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--client-output-buffer-limit", "pubsub 1gb 0 0"}
	if driver == "nats" {
		args = []string{"-a", "127.0.0.1", "-p", port}
	}
	child, err := f.Start(exec.Command(path, args...))
	if err != nil {
		return nil, err
	}
	if err := child.AwaitPort(addr, startPatience); err != nil {
		child.Kill()
		return nil, err
	}
	return &engine{child, driver, addr}, nil
}

func (e *engine) args() []string {
	return []string{"-broker-driver", e.driver, "-broker-dsn", e.driver + "://" + e.addr}
}

// onEngines makes a round of what is done with each engine.
func onEngines(steps func(e *Env, g *engine)) func(e *Env) error {
	return func(e *Env) error {
		for _, driver := range []string{"redis", "nats"} {
			g, err := startEngine(e.Family, driver, "")
			if err != nil {
				e.Noted(err.Error())
				continue
			}
			err = script(func(e *Env) { steps(e, g) })(e)
			g.Kill()
			if err != nil {
				return fmt.Errorf("%s: %w", driver, err)
			}
		}
		return nil
	}
}

var nodes = &Scenario{
	Name: "nodes", Ramps: "rate", About: "two nodes through Redis and NATS: what is published at one and heard at the other, in rate, CPU of both nodes and of the engine, and latency", Own: true, Asked: true,
	Round: onEngines(func(e *Env, g *engine) {
		here := must(e.Server.Contender.Start(e.Family, g.args()...))
		defer here.Kill()
		there := must(e.Server.Contender.Start(e.Family, g.args()...))
		defer there.Kill()
		n := min(e.Connections, 1000)
		two := &Env{Sizes: e.Sizes, Team: e.Team, Target: e.Target, Server: e.Server, Noted: e.Noted}
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
		two.inFlight(" at the other node, "+g.driver, 4, 100)
		two.paced("delivery at the other node, "+g.driver, swarm.Talk{Channel: "c"}, n)
		e.samples = append(e.samples, two.samples...)
	}),
}

var resubscribe = &Scenario{
	Name: "resubscribe", About: "channels with a member each, then the engine is killed and started: how long until all are subscribed to again, with no connection lost", Own: true, Asked: true,
	Round: onEngines(func(e *Env, g *engine) {
		node := must(e.Server.Contender.Start(e.Family, g.args()...))
		defer node.Kill()
		one := &Env{Sizes: e.Sizes, Team: e.Team, Target: e.Target}
		one.Target.Addr = node.Addr
		o := one.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "s", Spread: e.Connections, Joins: 1})
		defer func() { _ = e.Team.Shut(members, false); _ = e.Team.Shut(publishers, false) }()
		e.Sample("joins a second, "+g.driver, "1/s", record.Higher, float64(o.Open)/o.Seconds)
		one.Connections = 1
		one.publisher()
		g.Kill()
		again := must(startEngine(e.Family, g.driver, g.addr))
		defer again.Kill()
		began := time.Now()
		one.allHear(e.Connections)
		e.Sample("every channel is heard again after, "+g.driver, "s", record.Lower, time.Since(began).Seconds())
		ends := must(e.Team.Ends(members, false))
		e.Sample("connections lost, "+g.driver, "", record.Lower, float64(e.Connections-ends.Open))
	}),
}

// allHear publishes to each channel of its own until all members have heard something.
func (e *Env) allHear(n int) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		check(e.Team.Watch(members, 0, 1, n))
		must(e.Team.Say(swarm.Talk{Group: publishers, Channel: "s", Channels: n, Count: n, Size: e.Content}))
		if _, err := e.Team.Await(members, 0, 2); err == nil {
			return
		}
	}
	check(fmt.Errorf("not all of %d channels were heard again within a minute", n))
}

// All is every scenario, in the order in which they run.
var All = []*Scenario{
	idle, pings, connect, storm, fanout, mesh, burst, echo, post, slow, slowloris, talkers, churn, authorizer, drain, nodes, resubscribe, million,
}
