//go:build linux

package main

import (
	"fmt"
	"sync/atomic"
)

// roll counts one publication at a time, delivery by delivery, and how long each
// took.
type roll struct {
	bytes  int          // of a message; anything else is no publication of ours
	expect atomic.Int64 // deliveries
	since  atomic.Int64 // when it was published, in nanoseconds of now
	noted  atomic.Int64
}

// call begins to count a publication to n members.
func (r *roll) call(n int) {
	r.noted.Store(0)
	r.expect.Store(int64(n))
	r.since.Store(now())
}

// message counts a delivery. It is called by receivers.
func (r *roll) message(m *member, e event) {
	m.at.took.record(now() - r.since.Load())
	m.seen++
	switch expect := r.expect.Load(); {
	case e.size != r.bytes:
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", e.size, r.bytes))
	case r.noted.Add(1) > expect:
		m.at.crowd.fail(fmt.Errorf("a publication to %d came more often", expect))
	}
}

// complete reports whether everybody has the publication. Nothing that receivers
// noted changes then.
func (r *roll) complete() bool { return r.noted.Load() == r.expect.Load() }

// costsOf is what publications cost: CPU microseconds of the server per delivery,
// and the seconds that deliveries took, as in rollPercentiles.
type costsOf struct {
	cpu     []float64
	counted int64 // deliveries
	took    [3][]float64
	busiest []float64 // share of a core that the busiest receiving thread used
}

// rollPercentiles are what is told of the times that deliveries took.
var rollPercentiles = []struct {
	name string
	of   func(l *latencies) float64 // in microseconds
}{
	{"p50", func(l *latencies) float64 { return l.us(0.5) }},
	{"p99", func(l *latencies) float64 { return l.us(0.99) }},
	{"max", (*latencies).max},
}

// publish gives publications to the n members that are open, one after the other,
// and checks that each of them reached every member once.
func (t *throng) publish(n, publications int) (found costsOf, err error) {
	t.step("%d publications to %d", publications, n)
	for i := range t.crowd.members[:n] {
		t.crowd.members[i].seen = 0
	}
	t.crowd.takeLatencies()
	for range publications {
		if err := t.publishOnce(n, &found); err != nil {
			return found, err
		}
	}
	return found, t.eachSaw(n, publications)
}

// publishOnce opens a connection to publish by: the server would close one that is
// quiet for as long as an emulated processor takes.
func (t *throng) publishOnce(n int, found *costsOf) error {
	p, err := openPoster(t.server.port, sharedChannel, text(t.contentSize))
	if err != nil {
		return err
	}
	defer p.close()
	cost, err := meter{pid: t.server.pid(), crowd: t.crowd}.measure(func() error {
		t.roll.call(n)
		if err := p.publish(0, 1); err != nil {
			return err
		}
		return t.await(t.roll.complete, func() string { return fmt.Sprintf("%d of %d have the publication", t.roll.noted.Load(), n) })
	})
	if err != nil {
		return err
	}
	found.counted += t.roll.noted.Load()
	pings := t.idleCores * float64(cost.wall)
	found.cpu = append(found.cpu, (float64(cost.cpu.Sched)-pings)/1e3/float64(n))
	found.busiest = append(found.busiest, cost.busiest)
	took := t.crowd.takeLatencies()
	for i, p := range rollPercentiles {
		found.took[i] = append(found.took[i], p.of(took)/1e6)
	}
	return p.collect()
}

// eachSaw checks that the first n members have had so many messages each.
func (t *throng) eachSaw(n, messages int) error {
	for i := range t.crowd.members[:n] {
		if seen := t.crowd.members[i].seen; seen != uint32(messages) {
			return fmt.Errorf("connection %d of %d has had %d publications of %d", i+1, n, seen, messages)
		}
	}
	return nil
}
