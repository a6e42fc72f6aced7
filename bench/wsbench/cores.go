//go:build linux

package main

import (
	"os"
	"runtime"
	"time"
)

// cores tells who used the machine in a phase: the server, the generator's
// receivers, and the rest of the generator, which is the webhook it brings.
type cores struct {
	bench   *bench
	pid     int
	crowds  []*crowd
	start   time.Time
	server  time.Duration
	own     time.Duration
	threads time.Duration
}

func (b *bench) watchCores(pid int, crowds ...*crowd) (*cores, error) {
	c := &cores{bench: b, pid: pid, crowds: crowds, start: time.Now()}
	var err error
	c.server, c.own, c.threads, err = c.read()
	return c, err
}

func (c *cores) read() (server, own, threads time.Duration, err error) {
	if server, err = processClock(c.pid); err != nil {
		return
	}
	own, err = processClock(os.Getpid())
	for _, crowd := range c.crowds {
		for _, t := range crowd.threadTimes() {
			threads += t
		}
	}
	return server, own, threads, err
}

// fullMachine is the share of all cores from which on there was none left to wait
// for.
const fullMachine = 0.9

// add records what was used since, and says so when nothing was left: then a rate is
// the machine's, and so are latencies.
func (c *cores) add(name, what, operations string) error {
	wall := time.Since(c.start)
	server, own, threads, err := c.read()
	if err != nil {
		return err
	}
	share := func(d time.Duration) float64 { return float64(d) / float64(wall) }
	s, receivers := share(server-c.server), share(threads-c.threads)
	hook := share(own-c.own) - receivers
	c.bench.addCores(name, what, operations, s, hook, receivers)
	return nil
}

func (b *bench) addCores(name, what, operations string, s, hook, receivers float64) {
	r := b.record
	r.detail(name, "CPU of the server, "+what, "cores", s)
	r.detail("", "CPU of the webhook, "+name+", "+what, "cores", hook)
	r.detail("", "CPU of the generator's receivers, "+name+", "+what, "cores", receivers)
	if s+hook+receivers >= fullMachine*float64(runtime.NumCPU()) {
		r.remark("%s, %s: the machine was full (cores: server %s, webhook %s, receivers %s); %s and latencies are limited by that",
			name, what, show(s), show(hook), show(receivers), operations)
	}
}
