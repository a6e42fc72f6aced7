package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"wsify/bench/internal/ledger"
)

// talk is a Talk under way.
type talk struct {
	Talk
	group   *group
	conns   []*conn
	began   int64
	end     int64 // no more is sent
	sent    int
	waiting int // messages that have not come back
	over    bool
	heard   Heard
	latency *hdrhistogram.Histogram
	done    func(Heard)
}

// Talk makes load with a group, and returns when it is over.
func (s *Swarm) Talk(t Talk, out *Heard) error {
	*out = call(s, func(done func(Heard)) {
		g := s.groups[t.Group]
		if g == nil {
			g = &group{}
		}
		k := &talk{Talk: t, group: g, began: s.now, latency: ledger.NewHistogram(), done: done}
		for _, c := range g.conns {
			if c.state == open && (t.Conns == 0 || len(k.conns) < t.Conns) {
				c.sent = t.First
				c.account.Begin(t.First)
				k.conns = append(k.conns, c)
			}
		}
		if k.end = s.now + int64(t.Seconds*1e9); t.Seconds == 0 {
			k.end = s.now + int64(time.Hour)
		}
		if len(k.conns) == 0 {
			done(Heard{})
			return
		}
		g.talk = k
		if t.Seconds > 0 {
			s.after(k.end, func() { k.stop(s) })
		}
		switch {
		case t.Burst > 0:
			k.burst(s)
		case t.Rate > 0:
			k.pace(s)
		case t.Channel != "" && !g.plan.HTTP:
			for k.more() {
				k.say(s, k.conns[k.sent%len(k.conns)], s.now)
			}
			k.stop(s)
		default:
			for _, c := range k.conns {
				if k.more() {
					k.say(s, c, s.now)
				}
			}
		}
	})
	return nil
}

func (k *talk) more() bool { return !k.over && (k.Count == 0 || k.sent < k.Count) }

// pace says what is due, and comes back when more is.
func (k *talk) pace(s *Swarm) {
	for k.more() {
		due := k.began + int64(float64(k.sent)/k.Rate*1e9)
		if due >= k.end {
			return
		}
		if due > s.now {
			s.after(due, func() { k.pace(s) })
			return
		}
		k.say(s, k.conns[k.sent%len(k.conns)], due)
	}
	k.stop(s)
}

// say sends one message that was due at a time.
func (k *talk) say(s *Swarm, c *conn, due int64) {
	n, channel := c.sent, k.Channel
	switch {
	case k.Channels > 0: // each has its own numbers
		channel += strconv.Itoa(k.sent % k.Channels)
		n = k.First + uint32(k.sent/k.Channels)
	case channel != "":
		n = k.First + uint32(k.sent)
	default:
		channel = c.channel(0)
	}
	c.sent++
	k.sent++
	content := ledger.Append(nil, n, due, max(k.Size, ledger.MinSize))
	if c.group.plan.HTTP {
		body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
		c.dues = append(c.dues, due)
		k.waiting++
		s.write(c, fmt.Appendf(nil, "POST /broadcast%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			k.Auth, c.group.plan.Target.Host, len(body), body))
		return
	}
	if k.Channel == "" {
		k.waiting++
	}
	s.send(c, fmt.Sprintf(c.group.dialect.broadcast, channel, content))
}

// burst has each connection send many small messages at once, again and again.
func (k *talk) burst(s *Swarm) {
	if k.over {
		return
	}
	message := AppendFrame(nil, opText, fmt.Appendf(nil, k.group.dialect.broadcast, k.Channel, `"x"`))
	all := bytes.Repeat(message, k.Burst/len(message)+1)
	for _, c := range k.conns {
		if len(c.out) == 0 { // else the server has not read the last burst
			s.write(c, all)
			k.heard.Messages += uint64(len(all) / len(message))
		}
	}
	s.after(s.now+int64(k.Every*1e9), func() { k.burst(s) })
}

// back notes that what a connection has said came back, or was answered.
func (k *talk) back(s *Swarm, c *conn, due int64) {
	if k.waiting == 0 {
		return
	}
	k.waiting--
	k.heard.Messages++
	ledger.Record(k.latency, s.now-due)
	if k.Rate == 0 && k.more() {
		k.say(s, c, s.now)
	}
	if k.waiting == 0 && !k.more() {
		k.stop(s)
	}
}

// stop sends no more, and ends the talk once nothing is under way, or after a grace.
func (k *talk) stop(s *Swarm) {
	if !k.over {
		k.over = true
		if k.waiting > 0 {
			s.after(s.now+int64(5*time.Second), func() { k.finish() }) // a grace for what is under way
		}
	}
	if k.waiting == 0 {
		k.finish()
	}
}

func (k *talk) finish() {
	if k.group.talk != k {
		return
	}
	k.group.talk = nil
	k.heard.Missing = uint64(k.waiting)
	k.heard.Latency = Latency{k.latency.Export()}
	k.done(k.heard)
}

// answers handles all complete answers to requests in p and returns the rest.
func (s *Swarm) answers(c *conn, p []byte) []byte {
	for {
		a, size := s.answer(p)
		if size == 0 {
			return p
		}
		k := c.group.talk
		if k != nil && a.StatusCode != http.StatusCreated {
			k.heard.Refused++
			k.heard.Status = a.StatusCode
			k.heard.Without = append(k.heard.Without, k.First+uint32(k.heard.Messages))
		}
		p = p[size:]
		if k != nil && len(c.dues) > 0 {
			due := c.dues[0]
			c.dues = c.dues[:copy(c.dues, c.dues[1:])]
			k.back(s, c, due)
		}
	}
}

// Watch begins to count how connections of a group end, and what they hear from number First on: Count numbers, each of which Members will hear.
func (s *Swarm) Watch(a Args, _ *None) error {
	return ask(s, a.Group, new(None), func(g *group) None {
		g.tally = tally{Args: a, heard: make([]int32, a.Count), waiting: map[int][]chan struct{}{}, latency: ledger.NewHistogram()}
		g.ends, g.since = Ends{Codes: map[int]int{}}, s.now
		for _, c := range g.conns {
			c.account.Begin(a.First)
		}
		return None{}
	})
}

// Await returns when every member has heard a number, at once without members.
func (s *Swarm) Await(a Args, _ *None) error {
	heard := make(chan struct{})
	s.post(func() {
		g := s.groups[a.Group]
		if g == nil || g.tally.Members == 0 {
			close(heard)
			return
		}
		i := int(a.First) - int(g.tally.First)
		g.tally.waiting[i] = append(g.tally.waiting[i], heard)
		g.tally.tell(i)
	})
	select {
	case <-heard:
		return nil
	case <-s.ended_:
		return errors.New("the worker is ending")
	case <-time.After(time.Duration(a.Seconds * 1e9)):
		return fmt.Errorf("not every member has heard publication %d within %vs", a.First, a.Seconds)
	}
}

// Heard returns what a group has heard, and how its connections have ended, since Watch or since it was opened. With First, all should have heard the numbers below it.
func (s *Swarm) Heard(a Args, out *Heard) error {
	return ask(s, a.Group, out, func(g *group) Heard {
		h := g.tally.Heard
		h.Ends = g.ends
		h.Ends.Codes, h.Ends.Pings = maps.Clone(g.ends.Codes), s.pings
		for _, c := range g.conns {
			if c.state == open || c.state == held {
				h.Ends.Open++
			}
			if c.gap {
				h.Gaps++
			} else if a.First > 0 && c.state == open && !c.mute {
				h.Missing += uint64(c.account.Missing(a.First, a.But))
			}
		}
		if g.tally.latency != nil {
			h.Latency = Latency{g.tally.latency.Export()}
		}
		return h
	})
}
