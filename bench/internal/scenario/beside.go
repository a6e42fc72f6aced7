package scenario

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// alone and beside measure the probes without and with a load beside them.
func (e *Env) alone() { e.pacedTrips("latency of others, alone", e.Rate/40) }

func (e *Env) beside() { e.pacedTrips("latency of others, beside it", e.Rate/40) }

var slow = &Scenario{
	Name: "slow", Ramps: "rate", About: "one member of a busy channel never reads: latency of others alone and beside it",
	Own: true, Noise: true, Args: []string{"-write-queue-size", "64KiB"},
	Setup: script(func(e *Env) {
		e.probes(50)
		e.publisher()
	}),
	Round: script(func(e *Env) {
		e.alone()
		e.with(e.Noise).Open(swarm.Plan{Group: "stuck", N: 1, Channel: "c", Joins: 1, Mute: true})
		during(func() { // ten times what its queue takes, at a rate that costs little
			_, _ = e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Size: 8 << 10, Rate: 500, Seconds: e.Duration.Seconds()})
		}, e.beside)
		check(e.Noise.Shut("stuck", true))
	}),
}

var slowloris = &Scenario{
	Name: "slowloris", Ramps: "rate", About: "thousands of connections send half a request head, or half a frame, and stop: latency of others, alone and beside them",
	Own: true, Noise: true, Args: []string{"-handshake-timeout", "60s"},
	Setup: script(func(e *Env) { e.probes(50) }),
	Round: script(func(e *Env) {
		e.alone()
		n := min(e.Connections/4, 4000)
		for _, hold := range []string{swarm.HoldHead, swarm.HoldFrame} {
			e.with(e.Noise).Open(swarm.Plan{Group: hold, N: n, Hold: hold})
		}
		e.beside()
		check(errors.Join(e.Noise.Shut(swarm.HoldHead, true), e.Noise.Shut(swarm.HoldFrame, true)))
	}),
}

var talkers = &Scenario{
	Name: "talkers", Ramps: "rate", Noise: true, About: "400 connections broadcast 64 KiB of small messages at once, twice a second, to an empty channel: latency of others, alone and beside them",
	Setup: script(func(e *Env) {
		e.probes(50)
		e.with(e.Noise).Open(swarm.Plan{Group: "talkers", N: min(e.Connections/10, 400)})
	}),
	Round: script(func(e *Env) {
		e.alone()
		during(func() {
			_, _ = e.Noise.Talk(swarm.Talk{Group: "talkers", Channel: "nobody", Burst: 64 << 10, Every: 0.5, Seconds: e.Duration.Seconds()}, 400)
		}, e.beside)
	}),
}

// webhook serves an authorizer that takes a second over channels that begin with "slow".
func webhook(ln net.Listener) {
	_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(r.Header.Get("X-Wsify-Channel"), "slow") {
			time.Sleep(time.Second) // it is what is measured
		}
	}))
}

var authorizer = &Scenario{
	Name: "authorizer", Ramps: "rate", About: "a webhook is asked about every join: joins a second, and latency of others, alone and beside 1,000 joins that it takes a second over",
	Own: true, Fresh: true, Noise: true,
	Round: script(func(e *Env) {
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		defer ln.Close()
		go webhook(ln)
		e.Server.Kill()
		e.Server.args = append(e.Server.args[:len(e.Server.args):len(e.Server.args)], "-authorizer-url", "http://"+ln.Addr().String(), "-authorizer-events", "join")
		check(e.Server.Restart(e.Ctx))
		e.Load("join", "", func() float64 {
			return float64(e.Open(swarm.Plan{Group: members, N: min(e.Connections/5, 2000), Window: 64, Channel: "quick", Joins: 1}).Open)
		})
		e.probes(50)
		e.alone()
		during(func() {
			_, _ = e.Noise.Open(swarm.Plan{Group: "slow", Target: e.Target, N: min(e.Connections/10, 1000), Channel: "slow", Own: true, Joins: 1, Window: 1000})
		}, e.beside)
		check(errors.Join(e.Team.Shut(probes, false), e.Noise.Shut("slow", false)))
	}),
}

var churn = &Scenario{
	Name: "churn", About: "waves of connections join, leave and are reset while their channel is published to: those that stay hear everything exactly once, and no descriptor is left",
	Own: true,
	Setup: script(func(e *Env) {
		e.probes(50)
		e.Open(swarm.Plan{Group: members, N: 10, Channel: "c", Joins: 1})
		e.publisher()
	}),
	Round: script(func(e *Env) {
		check(e.Team.Watch(members, e.next, 0, 0))
		rate := 200.0
		count := int(rate * e.Duration.Seconds())
		first := e.next
		e.next += uint32(count)
		n := min(e.Connections/10, 1000)
		during(func() {
			_, _ = e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Rate: rate, Count: count, First: first, Size: ledger.MinSize})
		}, func() {
			e.Load("connection", " that comes and goes", func() (waves float64) {
				for end := time.Now().Add(e.Duration); time.Now().Before(end); waves++ {
					e.Open(swarm.Plan{Group: "wave", N: n, Channel: "c", Joins: 1})
					check(e.Team.Shut("wave", true))
				}
				return waves * float64(n)
			})
		})
		e.until(uint64(10 * count))
		exact("churn", must(e.Team.Heard(members, e.next)))
		e.Sample("connections of a wave", "", record.Fact, float64(n))
		e.Sample("descriptors of the server", "", record.Lower, float64(len(must(os.ReadDir(fmt.Sprintf("/proc/%d/fd", e.Server.Pid())))))) // the probes' and members', and no more
	}),
}
