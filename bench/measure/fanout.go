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
	crowd *crowd
	tally *tally
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

// series collects the samples of one way over the rounds.
type series struct {
	sched, stat, clock []float64 // CPU seconds per million deliveries
	rate               []float64 // deliveries per second of wall time
	busiest            []float64 // share of a core that the busiest receiving thread used
}

func (s *series) add(deliveries int, p spent) {
	perMillion := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(deliveries) }
	s.sched = append(s.sched, perMillion(p.cpu.Sched))
	s.stat = append(s.stat, perMillion(p.cpu.Stat))
	s.clock = append(s.clock, perMillion(p.cpu.Clock))
	s.rate = append(s.rate, float64(deliveries)/p.wall.Seconds())
	s.busiest = append(s.busiest, p.busiest)
}

// fanout measures what a delivery costs, server and floor in turn.
func (b *bench) fanout() error {
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.kill()
	measured, floor := make([]series, len(ways())), series{}
	for round := range b.rounds {
		b.step("round %d of %d: %d connections", round+1, b.rounds, b.connections)
		if err := b.fanoutServer(s, measured); err != nil {
			return s.failure(err)
		}
		if err := b.fanoutFloor(&floor); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
	}
	b.addFanout(measured, floor)
	return nil
}

// fanoutServer connects everybody and measures each way once. The one that is
// compared with the floor comes last, next to it in time.
func (b *bench) fanoutServer(s *server, measured []series) error {
	t := newTally(b.connections, b.contentSize)
	c, err := b.openIdle(s, shared, t.message)
	if err != nil {
		return err
	}
	defer c.close()
	p, err := openPoster(s.port, sharedChannel, text(b.contentSize))
	if err != nil {
		return err
	}
	defer p.close()
	l := &load{publisher: p, crowd: c, tally: t}
	for i, w := range slices.Backward(ways()) {
		if err := b.phase(l, s.pid(), w, &measured[i]); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// fanoutFloor does the same for a bare loop of sends, one publication in flight.
func (b *bench) fanoutFloor(measured *series) error {
	f, err := b.startFloor(roleOptions{role: "floor-send", n: b.connections, out: serverFrameSize(b.contentSize)})
	if err != nil {
		return err
	}
	defer f.kill()
	t := newTally(b.connections, b.contentSize)
	c, err := openCrowd(plan{size: b.connections, threads: b.threads, target: f.target(), sources: b.sources, message: t.message})
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
func (b *bench) phase(l *load, pid int, w way, measured *series) error {
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

func (b *bench) addFanout(measured []series, floor series) {
	const unit = "CPU s per million"
	r, one := b.record, measured[0]
	r.add("floor, window 1", unit, "", floor.sched...)
	for i, w := range ways() {
		r.add("server, "+w.name, unit, "", measured[i].sched...)
	}
	r.add("server over floor, window 1", "ratio", "<= 1.1", ratios(one.sched, floor.sched)...)
	r.add("window 4 over window 1", "ratio", "<= 0.35", ratios(measured[1].sched, one.sched)...)
	for i, w := range ways()[2:] {
		r.add(w.name+", over window 1", "ratio", "", ratios(measured[i+2].sched, one.sched)...)
	}
	r.add("floor, window 1, by utime+stime", unit, "", floor.stat...)
	r.detail("floor, window 1, by the CPU clock", unit, floor.clock...)
	b.checkClocks("floor, window 1", floor)
	for i, w := range ways() {
		r.add("server, "+w.name+", by utime+stime", unit, "", measured[i].stat...)
		r.detail("server, "+w.name+", by the CPU clock", unit, measured[i].clock...)
		b.checkClocks("server, "+w.name, measured[i])
	}
	r.add("floor, window 1, wall", "deliveries/s", "", floor.rate...)
	for i, w := range ways() {
		r.add("server, "+w.name+", wall", "deliveries/s", "", measured[i].rate...)
		b.addGenerator("server, "+w.name, measured[i].busiest)
	}
	b.addGenerator("floor, window 1", floor.busiest)
}

// checkClocks says when the system's two fine clocks disagree: schedstat forgets
// threads that ended.
func (b *bench) checkClocks(name string, s series) {
	sched, clock := summarize(s.sched).Median, summarize(s.clock).Median
	if diff := sched - clock; diff > clock/20 || diff < -clock/20 {
		b.record.remark("%s: schedstat says %s, the CPU clock %s CPU s per million", name, show(sched), show(clock))
	}
}

// generatorBusy is the share of a core from which on the generator, and not what it
// measures, sets the pace.
const generatorBusy = 0.9

// addGenerator tells how busy the generator was, and says so if it was too busy.
// Then rates and latencies are the generator's; CPU per delivery still holds.
func (b *bench) addGenerator(name string, busiest []float64) {
	b.record.detail("generator's busiest thread: "+name, "cores", busiest...)
	if busy := summarize(busiest).Median; busy >= generatorBusy {
		b.record.remark("%s: the generator was the bottleneck, its busiest thread used %.0f %% of a core; rates and latencies are its own", name, busy*100)
	}
}
