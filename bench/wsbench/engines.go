//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// pipelined is how many publications a client has in flight that does not wait
	// for each.
	pipelined = 16
	// clientBytes is how many bytes of content clients may have published that are
	// not heard yet: half of what one channel takes.
	clientBytes = 128 << 10
)

// parseFanout reads numbers of subscribed nodes, with commas between them.
func parseFanout(text string) ([]int, error) {
	var all []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || n > 1000 {
			return nil, fmt.Errorf("-nodes-fanout %s: %q is no number of nodes", text, part)
		}
		all = append(all, n)
	}
	return all, nil
}

// publishing is what was measured of one way to publish.
type publishing struct {
	name   string
	nodes  costs     // CPU of both nodes; empty for an engine's own tool
	engine costs     // per publication
	tool   []float64 // CPU us per publication of the tool
	says   []float64 // publications/s, as the tool tells
}

// enginesRun is what one engine was measured on, by way, in order.
type enginesRun struct {
	kind *engineKind
	ways []*publishing
	fan  []*publishing // many in flight, by subscribed nodes
	slow []*publishing // one in flight, likewise
}

func (r *enginesRun) way(name string) *publishing {
	for _, p := range r.ways {
		if p.name == name {
			return p
		}
	}
	p := &publishing{name: name}
	r.ways = append(r.ways, p)
	return p
}

// engines measures publications a second through each engine, to one member on
// another node, against the engine's own tool and one subscriber, in turn; and what a
// publication costs the engine by how many nodes are subscribed.
func (b *bench) engines() error {
	subscribed, err := parseFanout(b.many.fanout)
	if err != nil {
		return err
	}
	var runs []*enginesRun
	for _, k := range b.present() {
		r := &enginesRun{kind: k}
		for _, n := range subscribed {
			r.fan = append(r.fan, &publishing{name: strconv.Itoa(n)})
			r.slow = append(r.slow, &publishing{name: strconv.Itoa(n)})
		}
		runs = append(runs, r)
	}
	out := make(dropouts)
	b.progress.expect(b.rounds * len(runs))
	for round := range b.rounds {
		for i := range runs {
			r := runs[i]
			if round%2 == 1 {
				r = runs[len(runs)-1-i]
			}
			b.step("round %d of %d: %s, %d connections publish", round+1, b.rounds, r.kind.name, b.many.publishers)
			out.try(r.kind.name, func() error { return b.enginesRound(r, subscribed) })
		}
	}
	for _, r := range runs {
		b.addEngine(r)
	}
	b.record.remark("%d connections publish %d bytes at one node for one member on another; one request in flight each by POST, %d each by WebSocket, of which the last is answered. The engine's own tool has as many connections, and one subscriber",
		b.many.publishers, b.contentSize, pipelined)
	return out.err()
}

func (b *bench) enginesRound(r *enginesRun, subscribed []int) error {
	c, err := b.openCluster(setup{r.kind, audienceHalves})
	if err != nil {
		return err
	}
	defer c.close()
	if err := b.publishThrough(c, r.way("POST"), earBytes, 1, b.openPosts); err != nil {
		return c.failure(fmt.Errorf("POST: %w", err))
	}
	if err := b.publishThrough(c, r.way("WebSocket"), clientBytes, pipelined, b.openClients); err != nil {
		return c.failure(fmt.Errorf("WebSocket: %w", err))
	}
	for i, n := range subscribed {
		if err := b.publishSlowly(c.engine, n, r.slow[i]); err != nil {
			return c.failure(fmt.Errorf("one in flight, nodes subscribed: %d: %w", n, err))
		}
	}
	if tool := r.kind.tool(&b.many.engines); missingProgram(tool) {
		b.record.remark("%s has no figures of its own tool: there is no %s; %s", r.kind.name, tool, r.kind.get)
		return nil
	}
	for _, how := range r.kind.runs {
		if err := b.runTool(c, how, 1, r.way("own tool, "+how.name)); err != nil {
			return c.failure(err)
		}
	}
	for i, n := range subscribed {
		if err := b.runTool(c, r.kind.runs[len(r.kind.runs)-1], n, r.fan[i]); err != nil {
			return c.failure(err)
		}
	}
	return nil
}

// publishThrough publishes at the first node to a member on the last, each request
// each publications.
func (b *bench) publishThrough(c *cluster, p *publishing, owed, each int, open func(*server) (*exchange, error)) error {
	e, err := b.openWideEar(c.last(), 1, owed, each)
	if err != nil {
		return err
	}
	defer e.close()
	x, err := open(c.first())
	if err != nil {
		return err
	}
	defer x.crowd.close()
	e.watch(x)
	publish := func(d time.Duration) error {
		if err := x.exchangeFor(d); err != nil {
			return err
		}
		return e.hear(x.trips.Load() * int64(each))
	}
	if err := publish(b.many.publishTime / 10); err != nil {
		return err
	}
	nodes, engine, err := c.measure(meter{crowd: x.crowd, beside: e.crowd}, func() error { return publish(b.many.publishTime) })
	if err != nil {
		return err
	}
	n := int(x.trips.Load()) * each
	p.nodes.add(n, nodes)
	p.engine.add(n, spent{cpu: engine, wall: nodes.wall})
	return nil
}

// openClients opens connections that broadcast pipelined publications at a time, and
// wait for the answer to the last.
func (b *bench) openClients(s *server) (*exchange, error) {
	command := s.dialect.broadcast(sharedChannel, text(b.contentSize))
	asked := append([]byte(`{"id":1,`), command[1:]...)
	request := append(bytes.Repeat(clientFrame(opText, command), pipelined-1), clientFrame(opText, asked)...)
	return openExchange(plan{size: b.many.publishers, threads: b.threads, target: s.target(), sources: b.sources,
		request: func(int) []byte { return request }}, len(`{"id":1,"ok":true}`))
}

func (b *bench) addEngine(r *enginesRun) {
	name, record := r.kind.name, b.record
	for _, p := range r.ways {
		record.add(name, "rate, "+p.name, "publications/s", "", p.engine.rate...)
		record.add(name, "CPU of the engine, "+p.name, "CPU us per publication", "", p.engine.sched...)
		record.add(name, "CPU of the nodes, "+p.name, "CPU us per publication", "", p.nodes.sched...)
		record.add(name, "CPU of the tool, "+p.name, "CPU us per publication", "", p.tool...)
		record.detail(name, "rate as the tool tells, "+p.name, "publications/s", p.says...)
		record.addGenerator(name, p.name, p.nodes.busiest)
		record.addNoise(name, p.name, p.engine.noise+p.nodes.noise)
	}
	tool := r.way("own tool, " + r.kind.runs[len(r.kind.runs)-1].name)
	client := r.way("WebSocket")
	record.add(name, "rate, WebSocket over own tool", "ratio", "", ratios(client.engine.rate, tool.engine.rate)...)
	record.add(name, "CPU of the engine, WebSocket over own tool", "ratio", "", ratios(client.engine.sched, tool.engine.sched)...)
	for _, f := range []struct {
		what string
		fan  []*publishing
	}{{"many in flight", r.fan}, {"one in flight", r.slow}} {
		for _, p := range f.fan {
			record.add(name, fmt.Sprintf("CPU of the engine, %s, nodes subscribed: %s", f.what, p.name), "CPU us per publication", "", p.engine.sched...)
		}
		record.add(name, "CPU of the engine for each node subscribed, "+f.what, "CPU us per publication", "", slopes(f.fan)...)
	}
}

// slopes are, round by round, what one subscribed node more adds to the engine's CPU:
// from the fewest that are any to the most.
func slopes(fan []*publishing) []float64 {
	var few, many *publishing
	var fewN, manyN float64
	for _, p := range fan {
		n, err := strconv.ParseFloat(p.name, 64)
		if err != nil || n == 0 {
			continue
		}
		if few == nil || n < fewN {
			few, fewN = p, n
		}
		if many == nil || n > manyN {
			many, manyN = p, n
		}
	}
	var all []float64
	if few == many {
		return nil
	}
	for i := range min(len(few.engine.sched), len(many.engine.sched)) {
		all = append(all, math.Max(0, (many.engine.sched[i]-few.engine.sched[i])/(manyN-fewN)))
	}
	return all
}
