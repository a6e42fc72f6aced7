//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	stormTimeout = 90 * time.Second       // until everybody has joined
	stormPause   = 100 * time.Millisecond // before another try, unless the answer names one
)

// stormKinds are without an authorizer, and with one that allows everything so fast.
var stormKinds = []struct {
	name string
	hook bool
	mood mood
}{
	{"without authorizer", false, mood{}},
	{"with authorizer", true, mood{status: 200, all: true}},
	{"with authorizer of 10 ms", true, mood{status: 200, all: true, latency: 10 * time.Millisecond}},
}

// storm measures what happens when everybody comes at once: connect, upgrade and
// join, each as fast as it can.
func (b *bench) storm() error {
	for _, c := range b.contenders[1:] {
		b.record.remark("%s: has no -authorizer-url, its storm is without one", c.name)
	}
	b.remarkSize(b.stormSize())
	h, err := openWebhook(mood{status: 200})
	if err != nil {
		return err
	}
	defer h.close()
	in := b.lineUp()
	b.progress.expect(b.rounds * (len(b.contenders) + len(stormKinds) - 1))
	for _, k := range stormKinds {
		h.mood.Store(&k.mood)
		var extra []string
		if k.hook {
			extra = []string{"-authorizer-url", h.url, "-authorizer-events", "connect,join"}
		}
		if err := b.stormOf(k.name, in, extra); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// stormSize is how many come. All are from this process.
func (b *bench) stormSize() int { return min(b.connections, b.perProcess) }

// stormOf measures one kind in rounds. With further flags it is for the tree alone.
func (b *bench) stormOf(kind string, in *lineup, extra []string) error {
	found := make(map[string]*stormed)
	for _, c := range b.contenders {
		found[c.name] = new(stormed)
	}
	for round := range b.rounds {
		for _, c := range in.turns(round) {
			if extra != nil && c.name != b.tree().name {
				continue
			}
			b.step("round %d of %d: %s, %d connections %s", round+1, b.rounds, c.name, b.stormSize(), kind)
			if err := in.judge(c.name, b.stormServer(c, extra, found[c.name])); err != nil {
				return err
			}
		}
	}
	for _, c := range b.contenders {
		if f := found[c.name]; len(f.rate) > 0 {
			f.add(b.record, c.name, "storm, "+kind)
			b.addCores(c.name, "storm, "+kind, "rates", summarize(f.server).Median, summarize(f.hook).Median, summarize(f.dialing).Median)
		}
	}
	return nil
}

// stormed collects the samples of one server, a sample a round.
type stormed struct {
	rate, first           []float64 // joined a second: all, and those who were never refused
	cpu, clock            []float64 // CPU us per connection by two accounts
	tries, refused        []float64
	resets, overflows     []float64
	server, hook, dialing []float64 // cores in use
	latency               latencySeries
	noise                 int
}

func (f *stormed) add(r *record, server, name string) {
	r.add(server, name+": rate", "joined/s", "", f.rate...)
	if summarize(f.refused).Max > 0 {
		r.add(server, name+": rate of those never refused", "joined/s", "", f.first...)
		r.remark("%s: who is refused comes again when Retry-After says, or after %v; rate and highest latencies are theirs", name, stormPause)
	}
	r.add(server, name+": CPU", "CPU us per connection", "", f.cpu...)
	r.detail(server, name+": CPU, by the CPU clock", "CPU us per connection", f.clock...)
	r.addLatencies(server, name, f.latency)
	r.addNoise(server, name, f.noise)
	r.add(server, name+": tries", "tries per connection", "", f.tries...)
	r.add(server, name+": refused", "refusals", "", f.refused...)
	r.detail(server, name+": reset before an answer", "resets", f.resets...)
	r.detail(server, name+": accept queue was full", "times", f.overflows...)
	if most := summarize(f.overflows).Max; most > 0 {
		r.remark("%s, %s: the accept queue (net.core.somaxconn) was full, up to %.0f times in a round; the kernel tries again after 1 s and more, and the highest latencies are its", server, name, most)
	}
}

// stormServer lets everybody come to a new server.
func (b *bench) stormServer(c contender, extra []string, found *stormed) error {
	s, err := b.start(c, extra...)
	if err != nil {
		return err
	}
	defer s.kill()
	callers, err := b.openCallers(s.target(), b.stormSize())
	if err != nil {
		return err
	}
	defer callers.close()
	own, err := processClock(os.Getpid())
	if err != nil {
		return err
	}
	full := listenOverflows()
	cost, err := meter{pid: s.pid()}.measure(callers.run)
	if err != nil {
		return s.failure(err)
	}
	n := float64(b.stormSize())
	found.rate = append(found.rate, n/callers.took.Seconds())
	found.first = append(found.first, callers.firstRate())
	found.cpu = append(found.cpu, micro(cost.cpu.Sched)/n)
	found.clock = append(found.clock, micro(cost.cpu.Clock)/n)
	found.noise += cost.noise
	found.tries = append(found.tries, float64(callers.tries())/n)
	found.refused = append(found.refused, float64(callers.refused()))
	found.resets = append(found.resets, float64(callers.resets()))
	found.overflows = append(found.overflows, float64(listenOverflows()-full))
	found.latency.add(callers.latencies())
	total, err := processClock(os.Getpid())
	if err != nil {
		return err
	}
	wall, dialing := callers.took.Seconds(), callers.cpu()
	found.server = append(found.server, cost.cpu.Clock.Seconds()/wall)
	found.dialing = append(found.dialing, dialing.Seconds()/wall)
	found.hook = append(found.hook, (total-own-dialing).Seconds()/wall)
	return nil
}

// callers are the connections of a storm, and the threads that make them.
type callers struct {
	dialers []*dialer
	start   int64
	took    time.Duration // from the first to the last that joined
}

// openCallers divides n connections among the threads of the generator.
func (b *bench) openCallers(t target, n int) (*callers, error) {
	c := new(callers)
	for i := range b.threads {
		share := n / b.threads
		if i < n%b.threads {
			share++
		}
		d, err := openDialer(t, b.sources, share)
		if err != nil {
			c.close()
			return nil, err
		}
		if b.dialRate > 0 {
			d.every = time.Duration(float64(time.Second) / b.dialRate * float64(b.threads))
		}
		c.dialers = append(c.dialers, d)
	}
	return c, nil
}

// run returns when everybody has joined.
func (c *callers) run() error {
	c.start = now()
	var work sync.WaitGroup
	errs := make([]error, len(c.dialers))
	for i, d := range c.dialers {
		work.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer wakeInTime()()
			errs[i] = d.run(stormTimeout)
		})
	}
	work.Wait()
	c.took = time.Duration(now() - c.start)
	return errors.Join(errs...)
}

func (c *callers) tries() (n int) {
	for _, d := range c.dialers {
		n += d.tries
	}
	return n
}

func (c *callers) resets() (n int) {
	for _, d := range c.dialers {
		n += d.resets
	}
	return n
}

func (c *callers) refused() (n int) {
	for _, d := range c.dialers {
		n += d.refused
	}
	return n
}

// firstRate is how many joined a second until the last that was never refused.
func (c *callers) firstRate() float64 {
	n, last := 0, int64(0)
	for _, d := range c.dialers {
		n += d.atOnce
		last = max(last, d.lastAtOnce)
	}
	if n == 0 {
		return 0
	}
	return float64(n) / time.Duration(last-c.start).Seconds()
}

// cpu is what all dialers used.
func (c *callers) cpu() (all time.Duration) {
	for _, d := range c.dialers {
		all += d.cpu
	}
	return all
}

func (c *callers) latencies() *latencies {
	all := newLatencies()
	for _, d := range c.dialers {
		all.merge(d.joinedAfter)
	}
	return all
}

func (c *callers) close() {
	for _, d := range c.dialers {
		d.close()
	}
}
