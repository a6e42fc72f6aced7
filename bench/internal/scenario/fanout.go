//go:build linux

package scenario

import (
	"fmt"
	"slices"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

const (
	members    = "members"
	publishers = "publishers"
)

// awaitSeconds is how long a publication may take to reach everybody.
const awaitSeconds = 30

var fanout = &Scenario{
	Name: "fanout", About: "content to everybody in one channel: one publication in flight, four, and at a steady rate",
	Setup: func(e *Env) error { return e.audience(swarm.Plan{Channel: "c", Joins: 1}) },
	Round: func(e *Env) error {
		publications := 12
		if e.Quick {
			publications = 8
		}
		if err := e.inFlight("delivery, one publication in flight", 1, publications); err != nil {
			return err
		}
		if err := e.inFlight("delivery, four in flight", 4, 2*publications); err != nil {
			return err
		}
		return e.paced("delivery", swarm.Talk{Channel: "c"}, e.Connections)
	},
}

// audience opens members and a publisher.
func (e *Env) audience(p swarm.Plan) error {
	p.Group, p.N = members, e.Connections
	if _, err := e.Open(p); err != nil {
		return err
	}
	return e.publisher()
}

// publisher opens a client that publishes, with the first worker.
func (e *Env) publisher() error {
	first := &Env{Sizes: e.Sizes, Team: e.Team[:1], Target: e.Target}
	_, err := first.Open(swarm.Plan{Group: publishers, N: 1, First: e.Connections, Channel: "nobody"})
	return err
}

// say has the publisher publish count contents to "c", numbered from e.next on, and returns the first number.
func (e *Env) say(count int) (uint32, error) {
	first := e.next
	e.next += uint32(count)
	_, err := e.Team.Say(swarm.Talk{Group: publishers, Channel: "c", Count: count, First: first, Size: e.Content})
	return first, err
}

// inFlight publishes so that at most k publications have not reached everybody.
func (e *Env) inFlight(what string, k, count int) error {
	if err := e.Team.Watch(members, e.next, count, e.Connections); err != nil {
		return err
	}
	var last []float64
	err := e.Load(what, func() (float64, error) {
		for begun, heard := 0, 0; heard < count; heard++ {
			for begun < min(heard+k, count) {
				if _, err := e.say(1); err != nil {
					return 0, err
				}
				begun++
			}
			before := time.Now()
			if _, err := e.Team.Await(e.next-uint32(begun)+uint32(heard), awaitSeconds); err != nil {
				return 0, err
			}
			last = append(last, time.Since(before).Seconds())
		}
		return float64(count * e.Connections), nil
	})
	if err != nil {
		return err
	}
	if k == 1 {
		slices.Sort(last)
		e.Sample("last member heard after", "s", record.Lower, last[len(last)/2])
	}
	h, err := e.Team.Heard(members, e.next)
	if err == nil {
		err = exact(what, h)
	}
	return err
}

// paced publishes at a steady rate of deliveries, of which a publication makes so many, and takes their latency
// from when each publication was due.
func (e *Env) paced(what string, t swarm.Talk, each int) error {
	t.Group, t.Size, t.Seconds, t.First = publishers, e.Content, e.Duration.Seconds(), e.next
	t.Rate = max(e.Rate/float64(each), 2/t.Seconds)
	if err := e.Team.Watch(members, e.next, 0, 0); err != nil {
		return err
	}
	if _, err := e.Team.Say(t); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // what is under way arrives
	h, err := e.Team.Heard(members, 0)
	if err != nil {
		return err
	}
	if h.Messages == 0 {
		return fmt.Errorf("%s: nothing was heard", what)
	}
	e.next += uint32(h.Messages)/uint32(each) + 64
	e.Latencies("latency of a "+what+" at a steady rate", h.Latency)
	return nil
}

var mesh = &Scenario{
	Name: "mesh", About: "connections spread over many channels, all of them published to",
	Setup: func(e *Env) error {
		return e.audience(swarm.Plan{Channel: "m", Spread: e.channels(), Joins: 1})
	},
	Round: func(e *Env) error {
		channels, each := e.channels(), 8
		t := swarm.Talk{Group: publishers, Channel: "m", Channels: channels, Count: each * channels, First: e.next, Size: e.Content}
		if err := e.Team.Watch(members, e.next, 0, 0); err != nil {
			return err
		}
		e.next += uint32(each)
		want := uint64(each * e.Connections)
		err := e.Load("delivery", func() (float64, error) {
			if _, err := e.Team.Say(t); err != nil {
				return 0, err
			}
			h, err := e.until(want)
			return float64(h.Messages), err
		})
		if err != nil {
			return err
		}
		h, err := e.Team.Heard(members, e.next)
		if err == nil {
			err = exact("mesh", h)
		}
		if err != nil {
			return err
		}
		return e.paced("delivery", swarm.Talk{Channel: "m", Channels: channels}, e.Connections/channels)
	},
}

// channels is how many the mesh has: a hundred members each.
func (e *Env) channels() int { return max(e.Connections/100, 1) }

// until waits until members have heard so many messages.
func (e *Env) until(want uint64) (h swarm.Heard, err error) {
	for end := time.Now().Add(awaitSeconds * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if h, err = e.Team.Heard(members, 0); err != nil || h.Messages >= want {
			return h, err
		}
	}
	return h, fmt.Errorf("%d of %d messages were heard within %d s", h.Messages, want, awaitSeconds)
}

var burst = &Scenario{
	Name: "burst", About: "200 publications of 1 KiB to everybody at once: how long they take, and what memory stays",
	Own: true, Fresh: true,
	Round: func(e *Env) error {
		if err := e.audience(swarm.Plan{Channel: "c", Joins: 1}); err != nil {
			return err
		}
		before, err := e.settled()
		if err != nil {
			return err
		}
		const count = 200
		e.next = 0
		if err := e.Team.Watch(members, 0, count, e.Connections); err != nil {
			return err
		}
		e.Content = 1 << 10
		err = e.Load("delivery", func() (float64, error) {
			if _, err := e.say(count); err != nil {
				return 0, err
			}
			_, err := e.Team.Await(count-1, awaitSeconds)
			return float64(count * e.Connections), err
		})
		if err != nil {
			return err
		}
		h, err := e.Team.Heard(members, count)
		if err == nil {
			err = exact("burst", h)
		}
		if err != nil {
			return err
		}
		after, err := e.settled()
		e.Sample("memory that stays", "B", record.Lower, float64(max(after-before, 0)))
		return err
	},
}
