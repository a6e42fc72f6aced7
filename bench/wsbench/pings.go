//go:build linux

package main

import "time"

// pingEvery is the server's ping interval, so short that pings are much of what it does.
const pingEvery = time.Second

// pings measures what a ping and its pong cost: connections at rest, pinged every
// second, with one channel for all.
func (b *bench) pings() error {
	var cpu, rate []float64
	s, err := b.start(b.tree(), "-ping-interval", pingEvery.String())
	if err != nil {
		return err
	}
	defer s.kill()
	b.step("%d connections, a ping every %v", b.connections, pingEvery)
	c, err := openCrowd(plan{size: b.connections, threads: b.threads, target: s.target(), sources: b.sources,
		channels: channels{Shared: true}, message: ignore})
	if err != nil {
		return s.failure(err)
	}
	defer c.close()
	time.Sleep(2 * pingEvery) // until they are spread over the interval
	for range b.rounds {
		before := c.pongs()
		spentBefore, err := readCPU(s.pid())
		if err != nil {
			return s.failure(err)
		}
		start := time.Now()
		time.Sleep(b.many.pingTime)
		after, err := readCPU(s.pid())
		if err != nil {
			return s.failure(err)
		}
		n := float64(c.pongs() - before)
		if n > 0 {
			cpu = append(cpu, micro(after.Sched-spentBefore.Sched)/n)
		}
		rate = append(rate, n/time.Since(start).Seconds())
	}
	b.record.add(s.name, "CPU per ping and pong", "CPU us per ping", "", cpu...)
	b.record.add(s.name, "pings answered", "pings/s", "", rate...)
	b.record.remark("%d connections, a ping every %v to each", b.connections, pingEvery)
	return s.failure(c.whole())
}
