package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// drainFor is the -drain-timeout of what is drained here.
const drainFor = 10 * time.Second

var drain = &Scenario{
	Name: "drain", About: "SIGTERM with everybody connected: how many are told to reconnect in each second, how even that is, and how long it takes",
	Own: true, Fresh: true, Args: []string{"-drain-timeout", drainFor.String()}, Limits: map[string]float64{uneven: 0.2},
	Round: script(func(e *Env) {
		e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Joins: 1})
		check(e.Team.Watch(members, 0, 0, 0))
		began := time.Now()
		stopped := e.Server.Stop(60 * time.Second)
		took := time.Since(began).Seconds()
		ends := must(e.Team.Heard(members, 0)).Ends
		check(stopped)
		e.Sample("clients told to reconnect", "ratio", record.Higher, float64(ends.Codes[1012]+ends.Codes[1001])/float64(e.Connections))
		e.Sample("the server has ended after", "s", record.Fact, took)
		e.Sample(uneven, "ratio", record.Lower, unevenness(ends.Seconds))
		e.bySecond("clients told", ends.Seconds, int(drainFor.Seconds()))
		check(e.Server.Restart(e.Ctx))
	}),
}

const uneven = "largest difference of a second from an even pace"

// unevenness compares each whole second with the share that it would have of an even pace.
func unevenness(times []float64) (most float64) {
	if len(times) == 0 {
		return 0
	}
	first, last := slices.Min(times), slices.Max(times)
	even := float64(len(times)) / (last - first)
	for from := first; from+1 <= last; from++ {
		n := 0
		for _, t := range times {
			if from <= t && t < from+1 {
				n++
			}
		}
		most = max(most, math.Abs(float64(n)/even-1))
	}
	return most
}

// bySecond takes how many of the times are in each of the first seconds.
func (e *Env) bySecond(name string, times []float64, seconds int) {
	counts := map[int]int{}
	for _, t := range times {
		counts[int(t)]++
	}
	for second := range seconds {
		e.samples = append(e.samples, Sample{Name: name, Along: "second", X: float64(second + 1), Value: float64(counts[second])})
	}
}

var restart = &Scenario{
	Name: "restart", About: "two nodes behind HAProxy are restarted one after the other under all clients, which come back within a second of being told: who comes back when, and how often a try is refused",
	Own: true, Asked: true, Limits: map[string]float64{longest: 5, refused: 0},
	Round: script(func(e *Env) {
		nodes := []*Server{must(e.restartable()), must(e.restartable())}
		defer func() { nodes[0].Kill(); nodes[1].Kill() }()
		proxy := must(proxyOf(nodes).Start(e.Ctx))
		defer proxy.Kill()
		other := *proxy // a second process, as one may not have two descriptors for each client everywhere
		check(other.Restart(e.Ctx))
		defer other.Kill()
		all := &Env{Sizes: e.Sizes, Team: e.Team, Target: e.Target}
		all.Target.Addr = proxy.Addr
		all.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Joins: 1, Return: true})
		defer func() { _ = e.Team.Shut(members, false) }()
		check(e.Team.Watch(members, 0, 0, 0))
		for _, node := range nodes {
			check(errors.Join(node.Stop(60*time.Second), node.Restart(e.Ctx)))
			time.Sleep(time.Second) // the proxy asks five times a second whether it is ready
		}
		ends := must(e.Team.Heard(members, 0)).Ends
		for until := time.Now().Add(30 * time.Second); ends.Open < e.Connections && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
			ends = must(e.Team.Heard(members, 0)).Ends
		}
		e.Sample("clients that are back", "ratio", record.Higher, float64(ends.Open)/float64(e.Connections))
		e.Sample("clients cut off without 1012", "", record.Lower, float64(len(ends.Seconds)-ends.Codes[1012]))
		e.Sample(longest, "s", record.Lower, ends.Longest)
		e.Sample(refused, "", record.Lower, float64(ends.Refused))
		e.bySecond("clients back", ends.Back, 30)
	}),
}

const (
	longest = "longest time until a client is back"
	refused = "tries that were refused"
)

// restartable starts a node whose admin listener a load balancer can ask.
func (e *Env) restartable() (*Server, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	return e.Server.Contender.Start(e.Ctx, "-admin-addr", fmt.Sprintf("127.0.0.1:%d", port), "-shutdown-delay", "1s", "-drain-timeout", drainFor.String())
}

// adminPort is the port of a restartable node's admin listener.
func (s *Server) adminPort() string { return s.args[1][len("127.0.0.1:"):] }

// proxyOf is HAProxy before two nodes.
func proxyOf(nodes []*Server) Contender {
	return Contender{Name: "haproxy", Command: []string{"sh", "-c", "exec haproxy -db -f /dev/stdin <<.\n$0\n.", fmt.Sprintf(`
global
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option redispatch
  default-server check inter 200ms fall 1 rise 1
listen nodes
  bind {addr}
  balance leastconn
  option httpchk GET /readyz
  server a %s addr 127.0.0.1 port %s
  server b %s addr 127.0.0.1 port %s`, nodes[0].Addr, nodes[0].adminPort(), nodes[1].Addr, nodes[1].adminPort())}}
}
