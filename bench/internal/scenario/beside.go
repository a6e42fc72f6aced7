//go:build linux

package scenario

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// alone and beside measure the probes without and with a load beside them.
func (e *Env) alone() error { return e.pacedTrips("latency of others, alone", e.Rate/40) }

// beneath is e with the workers that make noise.
func (e *Env) beneath() *Env { return &Env{Sizes: e.Sizes, Team: e.Noise, Target: e.Target} }

func (e *Env) beside() error { return e.pacedTrips("latency of others, beside it", e.Rate/40) }

func probing(e *Env) error { return e.probes(50) }

var slow = &Scenario{
	Name: "slow", About: "one member of a busy channel never reads: latency of others alone and beside it",
	Own: true, Noise: true, Args: []string{"-write-queue-size", "64KiB"},
	Setup: func(e *Env) error {
		if err := probing(e); err != nil {
			return err
		}
		return e.publisher()
	},
	Round: func(e *Env) error {
		if err := e.alone(); err != nil {
			return err
		}
		if _, err := e.beneath().Open(swarm.Plan{Group: "stuck", N: 1, Channel: "c", Joins: 1, Mute: true}); err != nil {
			return err
		}
		var all sync.WaitGroup
		all.Go(func() { // ten times what its queue takes, at a rate that costs little
			_, _ = e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Size: 8 << 10, Rate: 500, Seconds: e.Duration.Seconds()})
		})
		err := e.beside()
		all.Wait()
		if err != nil {
			return err
		}
		return e.Noise.Shut("stuck", true)
	},
}

var slowloris = &Scenario{
	Name: "slowloris", About: "thousands of connections send half a request head, or half a frame, and stop: latency of others, alone and beside them",
	Own: true, Noise: true, Args: []string{"-handshake-timeout", "60s"},
	Setup: probing,
	Round: func(e *Env) error {
		if err := e.alone(); err != nil {
			return err
		}
		n := min(e.Connections/4, 4000)
		for _, hold := range []string{swarm.HoldHead, swarm.HoldFrame} {
			if _, err := e.beneath().Open(swarm.Plan{Group: hold, N: n, Hold: hold}); err != nil {
				return err
			}
		}
		if err := e.beside(); err != nil {
			return err
		}
		return errors.Join(e.Noise.Shut(swarm.HoldHead, true), e.Noise.Shut(swarm.HoldFrame, true))
	},
}

var talkers = &Scenario{
	Name: "talkers", Noise: true, About: "400 connections broadcast 64 KiB of small messages at once, twice a second, to an empty channel: latency of others, alone and beside them",
	Setup: func(e *Env) error {
		if err := probing(e); err != nil {
			return err
		}
		n := 400
		if e.Quick {
			n = 100
		}
		_, err := e.beneath().Open(swarm.Plan{Group: "talkers", N: n})
		return err
	},
	Round: func(e *Env) error {
		if err := e.alone(); err != nil {
			return err
		}
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = e.Noise.Talk(swarm.Talk{Group: "talkers", Channel: "nobody", Burst: 64 << 10, Every: 0.5, Seconds: e.Duration.Seconds()}, 400)
		})
		err := e.beside()
		all.Wait()
		return err
	},
}

// webhook is an authorizer that takes a second over channels that begin with "slow", and fails for those that
// begin with "bad".
type webhook struct {
	net.Listener
	server http.Server
}

func newWebhook() (*webhook, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &webhook{Listener: ln}
	h.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch channel := r.Header.Get("X-Wsify-Channel"); {
		case strings.HasPrefix(channel, "slow"):
			time.Sleep(time.Second) // it is what is measured
		case strings.HasPrefix(channel, "bad"):
			w.WriteHeader(http.StatusForbidden)
		}
	})
	go func() { _ = h.server.Serve(ln) }()
	return h, nil
}

var authorizer = &Scenario{
	Name: "authorizer", About: "a webhook is asked about every join: joins a second, and latency of others, alone and beside 1,000 joins that it takes a second over",
	Own: true, Fresh: true, Noise: true,
	Round: func(e *Env) error {
		h, err := newWebhook()
		if err != nil {
			return err
		}
		defer h.server.Close()
		e.Server.Kill()
		e.Server.args = append(e.Server.args[:len(e.Server.args):len(e.Server.args)], "-authorizer-url", "http://"+h.Addr().String(), "-authorizer-events", "join")
		if err := e.Server.Restart(e.Family); err != nil {
			return err
		}
		err = e.Load("join", func() (float64, error) {
			o, err := e.Open(swarm.Plan{Group: members, N: min(e.Connections/5, 2000), Window: 64, Channel: "quick", Joins: 1})
			return float64(o.Open), err
		})
		if err == nil {
			err = errors.Join(e.probes(50), e.alone())
		}
		if err != nil {
			return err
		}
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = e.beneath().Open(swarm.Plan{Group: "slow", N: min(e.Connections/10, 1000), Channel: "slow", Own: true, Joins: 1, Window: 1000})
		})
		err = e.beside()
		all.Wait()
		return errors.Join(err, e.Team.Shut(probes, false), e.Noise.Shut("slow", false))
	},
}

var drain = &Scenario{
	Name: "drain", About: "SIGTERM with everybody connected: how they end, how long that takes, and the most that end in a tenth of a second",
	Own: true, Fresh: true,
	Round: func(e *Env) error {
		if _, err := e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Joins: 1}); err != nil {
			return err
		}
		if _, err := e.Team.Ends(members, true); err != nil {
			return err
		}
		began := time.Now()
		stopped := e.Server.Stop(60 * time.Second)
		took := time.Since(began).Seconds()
		ends, err := e.Team.Ends(members, false)
		if err = errors.Join(err, stopped); err != nil {
			return err
		}
		told := ends.Codes[1012] + ends.Codes[1001]
		e.Sample("clients told to reconnect", "ratio", record.Higher, float64(told)/float64(e.Connections))
		e.Sample("the server has ended after", "s", record.Fact, took)
		e.Sample("most ends in a tenth of a second", "", record.Lower, float64(mostIn(ends.Seconds, 0.1)))
		return e.Server.Restart(e.Family)
	},
}

// mostIn is the most of times that fall into one of the intervals of this length.
func mostIn(times []float64, interval float64) (most int) {
	counts := map[int]int{}
	for _, t := range times {
		counts[int(t/interval)]++
		most = max(most, counts[int(t/interval)])
	}
	return most
}

var churn = &Scenario{
	Name: "churn", About: "waves of connections join, leave and are reset while their channel is published to: those that stay hear everything exactly once, and no descriptor is left",
	Own: true,
	Setup: func(e *Env) error {
		if err := probing(e); err != nil {
			return err
		}
		if _, err := e.Open(swarm.Plan{Group: members, N: 10, Channel: "c", Joins: 1}); err != nil {
			return err
		}
		return e.publisher()
	},
	Round: func(e *Env) error {
		if err := e.Team.Watch(members, e.next, 0, 0); err != nil {
			return err
		}
		rate := 200.0
		count := int(rate * e.Duration.Seconds())
		first := e.next
		e.next += uint32(count)
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Rate: rate, Count: count, First: first, Size: ledger.MinSize})
		})
		n := min(e.Connections/10, 1000)
		waves := 0.0
		err := e.Load("connection that comes and goes", func() (float64, error) {
			for end := time.Now().Add(e.Duration); time.Now().Before(end); waves++ {
				if _, err := e.Open(swarm.Plan{Group: "wave", N: n, Channel: "c", Joins: 1}); err != nil {
					return 0, err
				}
				if err := e.Team.Shut("wave", true); err != nil {
					return 0, err
				}
			}
			return waves * float64(n), nil
		})
		all.Wait()
		if err != nil {
			return err
		}
		if _, err := e.until(uint64(10 * count)); err != nil {
			return err
		}
		h, err := e.Team.Heard(members, e.next)
		if err = errors.Join(err, exact("churn", h)); err != nil {
			return err
		}
		e.Sample("connections of a wave", "", record.Fact, float64(n))
		return e.descriptors()
	},
}

// descriptors notes how many the server has beyond those of open connections.
func (e *Env) descriptors() error {
	n, err := e.Server.descriptors()
	if err == nil {
		e.Sample("descriptors of the server", "", record.Lower, float64(n))
	}
	return err
}
