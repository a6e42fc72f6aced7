//go:build linux

package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// roll counts one publication at a time, delivery by delivery.
type roll struct {
	bytes   int          // of content
	expect  atomic.Int64 // deliveries; none is counted beyond
	begun   atomic.Int64
	noted   atomic.Int64
	arrived []int64 // when, in nanoseconds of now
}

func newRoll(most, bytes int) *roll { return &roll{bytes: bytes, arrived: make([]int64, most)} }

// call starts to count a publication to n members.
func (r *roll) call(n int) {
	r.begun.Store(0)
	r.noted.Store(0)
	r.expect.Store(int64(n))
}

// message counts a delivery. It is called by receivers.
func (r *roll) message(m *member, size int) {
	i := r.begun.Add(1) - 1
	switch {
	case size != r.bytes:
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", size, r.bytes))
	case i >= r.expect.Load():
		m.at.crowd.fail(fmt.Errorf("a publication came more than %d times", r.expect.Load()))
	default:
		r.arrived[i] = now()
		m.seen++
		r.noted.Add(1)
	}
}

// complete reports whether everybody has the publication. Then the receivers are
// done with what they noted.
func (r *roll) complete() bool { return r.noted.Load() == r.expect.Load() }

// times returns how long deliveries took since an instant, in order.
func (r *roll) times(since int64) []int64 {
	all := slices.Clone(r.arrived[:r.expect.Load()])
	slices.Sort(all)
	for i := range all {
		all[i] -= since
	}
	return all
}

// rollPercentiles are what is told of the times of deliveries.
var rollPercentiles = []struct {
	name string
	p    float64
}{{"p50", 0.5}, {"p99", 0.99}, {"max", 1}}

// publish gives publications to the n members that are open, one after the other.
// It returns the server's CPU for each delivery, pings apart, and how many seconds
// deliveries took, as in rollPercentiles.
func (t *throng) publish(n, publications int) (costs []float64, times [3][]float64, err error) {
	p, err := openPoster(t.server.port, sharedChannel, text(t.contentSize))
	if err != nil {
		return nil, times, err
	}
	defer p.close()
	for i := range t.crowd.members[:n] {
		t.crowd.members[i].seen = 0
	}
	t.step("%d publications to %d", publications, n)
	for i := range publications {
		var start int64
		cost, err := meter{pid: t.server.pid(), crowd: t.crowd}.measure(func() error {
			t.roll.call(n)
			start = now()
			if err := p.publish(0, 1); err != nil {
				return err
			}
			return t.await(t.roll.complete, func() string { return fmt.Sprintf("publication %d: %d of %d have it", i+1, t.roll.noted.Load(), n) })
		})
		if err == nil {
			err = p.collect()
		}
		if err != nil {
			return nil, times, err
		}
		pings := time.Duration(t.idleCores * float64(cost.wall))
		costs = append(costs, micro(cost.cpu.Sched-pings)/float64(n))
		took := t.roll.times(start)
		for i, at := range rollPercentiles {
			times[i] = append(times[i], time.Duration(percentile(took, at.p)).Seconds())
		}
	}
	return costs, times, t.eachSaw(n, publications)
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
