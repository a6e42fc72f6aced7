//go:build linux

package scenario

import (
	"fmt"

	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

const probes = "probes"

var echo = &Scenario{
	Name: "echo", About: "JSON broadcasts to a channel of one's own and back: 100 connections and 1, one message in flight each, and at a steady rate",
	Setup: func(e *Env) error { return e.probes(100) },
	Round: func(e *Env) error {
		for _, n := range []int{100, 1} {
			what := "round trip"
			if n == 1 {
				what = "round trip of one connection"
			}
			if err := e.trips(what, swarm.Talk{Group: probes, Conns: n}); err != nil {
				return err
			}
		}
		return e.pacedTrips("latency of a round trip at a steady rate", e.Rate/4)
	},
}

// probes opens connections with a channel of their own each.
func (e *Env) probes(n int) error {
	_, err := e.Open(swarm.Plan{Group: probes, N: n, Channel: "own", Own: true, Joins: 1})
	return err
}

// trips measures a talk in which each connection sends when its last came back.
func (e *Env) trips(what string, t swarm.Talk) error {
	t.Seconds, t.Size = e.Duration.Seconds()/2, e.Content
	var h swarm.Heard
	err := e.Load(what, func() (n float64, err error) {
		h, err = e.Team.Talk(t, 100)
		return float64(h.Messages), err
	})
	if err != nil {
		return err
	}
	e.Sample(what+" takes, median", "s", record.Lower, quantile(h.Latency, 50))
	return exact(what, h)
}

// pacedTrips measures the latency of probes at a steady rate.
func (e *Env) pacedTrips(what string, rate float64) error {
	h, err := e.Team.Talk(swarm.Talk{Group: probes, Rate: rate, Seconds: e.Duration.Seconds(), Size: e.Content}, 100)
	if err != nil {
		return err
	}
	e.Latencies(what, h.Latency)
	return exact(what, h)
}

var post = &Scenario{
	Name: "http", About: "POST /broadcast on 50 kept connections, one request in flight each: to nobody, to one member, and at a steady rate",
	Setup: func(e *Env) error {
		if _, err := e.Open(swarm.Plan{Group: "posts", N: 50, HTTP: true}); err != nil {
			return err
		}
		_, err := e.Open(swarm.Plan{Group: members, N: 1, Channel: "c", Joins: 1})
		return err
	},
	Round: func(e *Env) error {
		for what, channel := range map[string]string{"request to nobody": "nobody", "request to one member": "c"} {
			err := e.Load(what, func() (float64, error) {
				h, err := e.Team.Talk(swarm.Talk{Group: "posts", Channel: channel, Seconds: e.Duration.Seconds() / 2, Size: e.Content, Auth: e.auth()}, 50)
				if err == nil && h.Refused > 0 {
					err = fmt.Errorf("%s: %d of %d requests were refused", what, h.Refused, h.Messages)
				}
				return float64(h.Messages), err
			})
			if err != nil {
				return err
			}
		}
		h, err := e.Team.Talk(swarm.Talk{Group: "posts", Channel: "nobody", Rate: e.Rate / 10, Seconds: e.Duration.Seconds(), Size: e.Content, Auth: e.auth()}, 50)
		e.Latencies("latency of a request at a steady rate", h.Latency)
		return err
	},
}
