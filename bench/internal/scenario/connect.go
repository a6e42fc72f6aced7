//go:build linux

package scenario

import (
	"errors"
	"fmt"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// settled waits until the server's memory rests, and returns it. Servers give memory back some seconds after a
// load.
func (e *Env) settled() (int64, error) {
	if e.Quick {
		return process.Settled(e.Server.Pid(), 3*time.Second)
	}
	time.Sleep(5 * time.Second)
	return process.Settled(e.Server.Pid(), 20*time.Second)
}

var idle = &Scenario{
	Name: "idle", About: "memory of connections at rest, of the server and of the kernel: all in one channel, and in a channel of their own each",
	Own: true, Fresh: true,
	Limits: map[string]float64{"memory of a connection": 200},
	Round: func(e *Env) error {
		kernel, before := process.KernelMemory(), int64(0)
		for _, own := range []bool{false, true} {
			if own {
				if err := e.Team.Shut(members, false); err != nil {
					return err
				}
				e.Server.Kill()
				if err := e.Server.Restart(e.Family); err != nil {
					return err
				}
			}
			var err error
			if before, err = e.settled(); err != nil {
				return err
			}
			if _, err := e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Own: own, Joins: 1}); err != nil {
				return err
			}
			after, err := e.settled()
			if err != nil {
				return err
			}
			each := float64(after-before) / float64(e.Connections)
			if own {
				e.Cost("memory of a connection with a channel of its own", "B", each)
				continue
			}
			e.Cost("memory of a connection", "B", each)
			e.Sample("kernel memory of a connection, both ends", "B", record.Fact, float64(process.KernelMemory()-kernel)/float64(e.Connections))
		}
		return nil
	},
}

var pings = &Scenario{
	Name: "pings", About: "connections at rest that are pinged every second: CPU of a ping and its pong",
	Own: true, Args: []string{"-ping-interval", "1s"},
	Setup: func(e *Env) error {
		_, err := e.Open(swarm.Plan{Group: members, N: e.Connections, Channel: "c", Joins: 1})
		return err
	},
	Round: func(e *Env) error {
		return e.Load("ping", func() (float64, error) {
			before, err := e.Team.Pings()
			if err != nil {
				return 0, err
			}
			time.Sleep(max(e.Duration, 2*time.Second)) // nothing to wait for: this is the load
			after, err := e.Team.Pings()
			if after == before {
				e.Void("the server sent no ping")
			}
			return max(float64(after-before), 1), err
		})
	},
}

// overflow voids a round in which the kernel dropped connections: it measured that.
func (e *Env) overflow(load func() error) error {
	before := process.ListenOverflows()
	err := load()
	if n := process.ListenOverflows() - before; n > 0 && e.Server != nil {
		e.Void(fmt.Sprintf("the queue of the listener was full %v times", n))
	}
	return err
}

var connect = &Scenario{
	Name: "connect", About: "connect and upgrade, 64 at a time, and the closes that follow",
	Round: func(e *Env) error {
		n := min(e.Connections, 4000)
		if e.Quick {
			n = 1000
		}
		return e.overflow(func() error {
			var o swarm.Opened
			err := e.Load("handshake", func() (float64, error) {
				var err error
				o, err = e.Open(swarm.Plan{Group: "fresh", N: n, Window: 64})
				return float64(n), err
			})
			if err != nil {
				return err
			}
			e.Sample("a handshake takes, median", "s", record.Lower, quantile(o.Latency, 50))
			return e.Load("close", func() (float64, error) { return float64(n), e.Team.Shut("fresh", false) })
		})
	},
}

var storm = &Scenario{
	Name: "storm", About: "everybody connects, upgrades and joins at once; a client that is refused with 503 comes again when Retry-After is over",
	Fresh: true, Own: true,
	Round: func(e *Env) error {
		return e.overflow(func() error {
			var o swarm.Opened
			err := e.Load("client that comes back", func() (n float64, err error) {
				o, err = e.Open(swarm.Plan{Group: members, N: e.Connections, Window: 2000, Channel: "c", Joins: 1, Retry: true})
				return float64(o.Open), err
			})
			if err != nil {
				return err
			}
			e.Sample("everybody is a member again after", "s", record.Lower, o.Seconds)
			e.Sample("time until a client is a member"+P99, "s", record.Lower, quantile(o.Latency, 99))
			e.Sample("clients refused with 503", "", record.Fact, float64(o.Retries))
			return nil
		})
	},
}

// million opens everything once. It is bounded by progress, not by time: it gives up when no connection has
// opened for a minute.
var million = &Scenario{
	Name: "million", About: "as many connections as -connections says, all in one channel: memory of each, and a publication to all", Own: true, Asked: true,
	Args: []string{"-ping-interval", "10m", "-pong-timeout", "20m", "-handshake-timeout", "1m"},
	Setup: func(e *Env) (err error) {
		if err := e.publisher(); err != nil {
			return err
		}
		if e.base, err = e.settled(); err != nil {
			return err
		}
		o, err := e.Open(swarm.Plan{Group: members, N: e.Connections, Window: 1000, Channel: "c", Joins: 1, Retry: true})
		e.Noted(fmt.Sprintf("everybody was a member after %.0f s", o.Seconds))
		return err
	},
	Round: func(e *Env) error {
		rest, err := e.settled()
		if err != nil {
			return err
		}
		e.Cost("memory of a connection", "B", float64(rest-e.base)/float64(e.Connections))
		if err := e.Team.Watch(members, e.next, 1, e.Connections); err != nil {
			return err
		}
		began := time.Now()
		err = e.Load("delivery", func() (float64, error) {
			if _, err := e.say(1); err != nil {
				return 0, err
			}
			last, err := e.Team.Await(e.next-1, 600)
			e.Sample("last member heard after", "s", record.Lower, last.Sub(began).Seconds())
			return float64(e.Connections), err
		})
		if err != nil {
			return err
		}
		h, err := e.Team.Heard(members, e.next)
		return errors.Join(err, exact("million", h))
	},
}
