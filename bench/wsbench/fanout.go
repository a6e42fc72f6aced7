//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"
)

const (
	// batchSize is the window of the second way to publish, and its bursts.
	batchSize = 4
	// deliveryTimeout is how long a publication may take to reach everybody.
	deliveryTimeout = 60 * time.Second
	// warmPublications are sent and not counted before a phase.
	warmPublications = 2 * batchSize
)

// way is one way to give publications.
type way struct {
	name string
	send func(l *load, n int) error
}

// ways are measured on the server; the floor knows only the first.
func ways() []way {
	return []way{
		{"window 1", func(l *load, n int) error { return l.slide(1, n) }},
		{"window 4", func(l *load, n int) error { return l.slide(batchSize, n) }},
		{"4 at once, one POST connection", func(l *load, n int) error { return l.batches(1, n) }},
		{"4 at once, four POST connections", func(l *load, n int) error { return l.batches(doors, n) }},
	}
}

// load gives publications to a crowd and waits for them.
type load struct {
	publisher
	crowd  *crowd
	tally  *tally
	atMost int // publications on their way while they are paced; 0: as many as can be told apart
}

// slide keeps window publications in flight: the next is sent when the oldest has
// reached everybody.
func (l *load) slide(window, n int) error {
	for i := range n {
		if i >= window {
			if err := l.arrive(1); err != nil {
				return err
			}
		}
		if err := l.publish(i%doors, 1); err != nil {
			return err
		}
	}
	if err := l.arrive(min(window, n)); err != nil {
		return err
	}
	return l.collect()
}

// batches sends batchSize at once, spread over some doors, and waits for all.
func (l *load) batches(doors, n int) error {
	for range n / batchSize {
		for door := range doors {
			if err := l.publish(door, batchSize/doors); err != nil {
				return err
			}
		}
		if err := l.arrive(batchSize); err != nil {
			return err
		}
	}
	return l.collect()
}

// arrive waits until n more publications have reached everybody.
func (l *load) arrive(n int) error { return l.crowd.wait(l.tally.done, n, deliveryTimeout) }

// fanout measures what a delivery costs, contenders and floor in turn.
func (b *bench) fanout() error {
	in, err := b.startAll()
	if err != nil {
		return err
	}
	defer in.close()
	measured := make([]table, len(ways()))
	for i := range measured {
		measured[i] = make(table)
	}
	b.progress.expect(b.rounds * (len(b.contenders) + 1))
	for round := range b.rounds {
		for _, c := range in.turns(round) {
			b.step("round %d of %d: %s, %d connections", round+1, b.rounds, c.name, b.connections)
			if err := in.judge(c.name, b.fanoutServer(in.fleet[c.name], measured)); err != nil {
				return err
			}
		}
		b.step("round %d of %d: floor", round+1, b.rounds)
		if err := b.fanoutFloor(measured[0].of(floorName)); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
	}
	b.addFanout(measured)
	return nil
}

// fanoutServer connects everybody and measures each way once. The one that is
// compared with the floor comes last, next to it in time.
func (b *bench) fanoutServer(s *server, measured []table) error {
	l, p, err := b.openAudience(s, channels{Shared: true}, b.contentSize)
	if err != nil {
		return err
	}
	defer l.crowd.close()
	defer p.close()
	if b.contentSize >= stampedMin {
		took, err := l.paced(p, b.publishRate(), b.pacedTime)
		if err != nil {
			return fmt.Errorf("paced: %w", err)
		}
		measured[0].of(s.name).latency.add(took)
	}
	for i, w := range slices.Backward(ways()) {
		if err := b.phase(l, s.pid(), w, measured[i].of(s.name)); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// publishRate is how many publications a second bring everybody together
// -delivery-rate deliveries a second.
func (b *bench) publishRate() float64 { return b.deliveryRate / float64(b.connections) }

// openAudience connects everybody and opens a way to publish to the shared channel.
func (b *bench) openAudience(s *server, to channels, content int) (*load, *poster, error) {
	t := newTally(0, s.dialect.delivered(sharedChannel, content))
	c, err := b.openListeners(s.target(), to, t)
	if err != nil {
		return nil, nil, err
	}
	p, err := openPoster(s.port, sharedChannel, text(content))
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return &load{publisher: p, crowd: c, tally: t}, p, nil
}

// openListeners connects everybody, here and in agents, to be counted by a tally.
func (b *bench) openListeners(to target, join channels, t *tally) (*crowd, error) {
	fleet := &agentPlan{perProcess: b.perProcess, bench: b, tally: t}
	here := min(b.connections, b.perProcess)
	agents := (b.connections - here + b.perProcess - 1) / b.perProcess
	t.size = uint32(here + agents) // an agent counts once for all its members
	return openCrowd(plan{size: b.connections, threads: b.threads, target: to, sources: b.sources,
		channels: join, message: t.message, fleet: fleet})
}

// fanoutFloor does the same for a bare loop of sends, one publication in flight.
func (b *bench) fanoutFloor(measured *costs) error {
	f, err := b.startFloor(roleOptions{role: "floor-send", n: b.connections, out: serverFrameSize(b.contentSize)})
	if err != nil {
		return err
	}
	defer f.kill()
	t := newTally(0, b.contentSize)
	c, err := b.openListeners(f.target(), channels{}, t)
	if err != nil {
		return f.failure(err)
	}
	defer c.close()
	if err := f.awaitReady(); err != nil {
		return f.failure(err)
	}
	return f.failure(b.phase(&load{publisher: f, crowd: c, tally: t}, f.pid(), ways()[0], measured))
}

// phase warms up, then measures one way.
func (b *bench) phase(l *load, pid int, w way, measured *costs) error {
	if err := w.send(l, warmPublications); err != nil {
		return err
	}
	cost, err := meter{pid: pid, crowd: l.crowd}.measure(func() error { return w.send(l, b.publications) })
	if err != nil {
		return err
	}
	measured.add(b.publications*b.connections, cost)
	return nil
}

func (b *bench) addFanout(measured []table) {
	for i, w := range ways() {
		names := costNames{what: w.name, unit: "delivery", rate: "deliveries/s"}
		if i == 0 {
			names.floorGoal = "<= 1.1"
		}
		b.addCosts(measured[i], names)
	}
	for i, name := range b.names() {
		one := measured[0].of(name)
		for j, w := range ways()[1:] {
			goal := ""
			if i == 0 && j == 0 {
				goal = "<= 0.35"
			}
			b.record.add(name, w.name+" over window 1", "ratio", goal, ratios(measured[j+1].of(name).sched, one.sched)...)
		}
		if b.contentSize >= stampedMin {
			b.record.addLatencies(name, "paced", one.latency)
		}
	}
	if b.contentSize >= stampedMin {
		b.record.remark("paced: %s publications a second, latency from when each should have left to each delivery", show(b.publishRate()))
	} else {
		b.record.remark("no latencies: content below %d bytes cannot carry the time", stampedMin)
	}
}
