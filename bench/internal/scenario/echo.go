package scenario

import (
	"fmt"
	"net/http"
	"net/url"

	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

const probes = "probes"

var echo = &Scenario{
	Name: "echo", Ramps: "rate", About: "JSON broadcasts to a channel of one's own and back: 100 connections and 1, one message in flight each, and at a steady rate",
	Setup: script(func(e *Env) { e.probes(100) }),
	Round: script(func(e *Env) {
		e.trips("", swarm.Talk{Group: probes, Conns: 100})
		e.trips(" of one connection", swarm.Talk{Group: probes, Conns: 1})
		e.pacedTrips("latency of a round trip at a steady rate", e.Rate/4)
	}),
}

// probes opens connections with a channel of their own each.
func (e *Env) probes(n int) {
	e.Open(swarm.Plan{Group: probes, N: n, Channel: "own", Own: true, Joins: 1})
}

// trips measures a talk in which each connection sends when its last came back.
func (e *Env) trips(more string, t swarm.Talk) {
	t.Seconds, t.Size = e.Duration.Seconds()/2, e.Content
	var h swarm.Heard
	e.Load("round trip", more, func() float64 {
		h = must(e.Team.Talk(t, 100))
		return float64(h.Messages)
	})
	e.Sample("round trip"+more+" takes, median", "s", record.Lower, quantile(h.Latency, 50))
	exact("round trip"+more, h)
}

// pacedTrips measures the latency of probes at a steady rate.
func (e *Env) pacedTrips(what string, rate float64) {
	h := must(e.Team.Talk(swarm.Talk{Group: probes, Rate: rate, Seconds: e.Duration.Seconds(), Size: e.Content}, 100))
	e.Latencies(what, h.Latency)
	exact(what, h)
}

var post = &Scenario{
	Name: "http", Ramps: "rate", About: "POST /broadcast on 50 kept connections, one request in flight each: to nobody, to one member, and at a steady rate",
	Setup: script(func(e *Env) {
		e.Open(swarm.Plan{Group: "posts", N: 50, HTTP: true})
		e.Open(swarm.Plan{Group: members, N: 1, Channel: "c", Joins: 1})
	}),
	Round: script(func(e *Env) {
		for to, channel := range map[string]string{" to nobody": "nobody", " to one member": "c"} {
			e.Load("request", to, func() float64 {
				return float64(e.posts(swarm.Talk{Channel: channel, Seconds: e.Duration.Seconds() / 2}).Messages)
			})
		}
		h := e.posts(swarm.Talk{Channel: "nobody", Rate: e.Rate / 10, Seconds: e.Duration.Seconds()})
		e.Latencies("latency of a request at a steady rate", h.Latency)
	}),
}

// posts sends requests, of which none may be refused.
func (e *Env) posts(t swarm.Talk) swarm.Heard {
	if t.Group, t.Size = "posts", e.Content; e.Key != "" {
		t.Auth = "?key=" + url.QueryEscape(e.Key)
	}
	h := must(e.Team.Talk(t, 50))
	if h.Refused > 0 {
		hint := ""
		if h.Status == http.StatusForbidden || h.Status == http.StatusUnauthorized {
			hint = "; -key is the broadcasting key of a target"
		}
		check(fmt.Errorf("%d of %d requests were refused, with status %d%s", h.Refused, h.Messages, h.Status, hint))
	}
	exact("requests", h)
	return h
}
