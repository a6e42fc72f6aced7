//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"sync/atomic"
	"time"
)

const (
	// toolChannel is where an engine's own tool publishes.
	toolChannel = "tool"
	// toolTime bounds one run of a tool.
	toolTime = 2 * time.Minute
	// toolDeliveries bounds what all subscribers together get in one run.
	toolDeliveries = 1 << 20
	// slowPublications are made one at a time.
	slowPublications = 2000
)

// audience are connections to the engine itself, which are subscribed as nodes would be.
type audience struct {
	crowd   *crowd
	heard   atomic.Int64 // bytes
	last    atomic.Int64 // when, in nanoseconds of now
	goal    atomic.Int64 // bytes at which reached is told; 0: never
	reached chan struct{}
}

// openClientsOf opens n connections to the engine that send a request.
func (b *bench) openClientsOf(e *engine, n int, request []byte) (*audience, error) {
	a := &audience{reached: make(chan struct{}, 1)}
	c, err := openCrowd(plan{size: n, threads: 1, target: target{port: e.port}, sources: b.sources, raw: func(_ *member, p []byte) {
		heard := a.heard.Add(int64(len(p)))
		a.last.Store(now())
		if goal := a.goal.Load(); goal > 0 && heard >= goal && a.goal.CompareAndSwap(goal, 0) {
			a.reached <- struct{}{}
		}
	}})
	if err != nil {
		return nil, err
	}
	a.crowd = c
	request = append([]byte(e.kind.hello), request...)
	for i := range c.members {
		if err := writeAll(c.members[i].fd, request); err != nil {
			c.close()
			return nil, err
		}
	}
	return a, nil
}

// hear waits until so many bytes were heard in all.
func (a *audience) hear(bytes int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(deliveryTimeout); a.heard.Load() < bytes; {
		select {
		case err := <-a.crowd.failed:
			return err
		case <-tick.C:
		}
		if time.Now().After(limit) {
			return fmt.Errorf("subscribers of the engine heard %d of %d bytes within %v", a.heard.Load(), bytes, deliveryTimeout)
		}
	}
	return nil
}

// toolPublications is how many publications a tool makes with so many subscribers: a
// multiple of what its clients have in flight, so that it makes no more.
func (b *bench) toolPublications(subscribers int) int {
	n := min(b.many.toolPublications, toolDeliveries/max(subscribers, 1))
	step := b.many.publishers * pipelined
	return max(n/step, 1) * step
}

// runTool lets the engine's own tool publish to so many subscribers.
func (b *bench) runTool(c *cluster, how toolRun, subscribers int, p *publishing) error {
	e := c.engine
	a, err := b.openClientsOf(e, subscribers, e.kind.listen(toolChannel))
	if err != nil {
		return err
	}
	defer a.crowd.close()
	if _, err := quiet(e.pid()); err != nil { // then all are subscribed
		return err
	}
	n := b.toolPublications(subscribers)
	path := e.kind.tool(&b.many.engines)
	var said bytes.Buffer
	var used, wall time.Duration
	m := meter{pid: e.pid(), crowd: a.crowd}
	cost, err := m.measure(func() error {
		cmd := exec.Command(path, how.line(e.port, b.many.publishers, b.contentSize, n, toolChannel)...)
		cmd.Stdout = &said
		before := a.heard.Load()
		start := now()
		if used, err = b.children.Run(context.Background(), toolTime, cmd); err != nil {
			return err
		}
		wall = time.Duration(now() - start)
		if subscribers == 0 {
			return nil
		}
		err := a.hear(before + int64(subscribers)*int64(n)*int64(e.kind.pushed(toolChannel, b.contentSize)))
		wall = time.Duration(a.last.Load() - start)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s, %s: %w", path, how.name, err)
	}
	rate, err := how.rate(said.String())
	if err != nil {
		return err
	}
	cost.wall = wall
	p.engine.add(n, cost)
	p.tool = append(p.tool, micro(used)/float64(n))
	p.says = append(p.says, rate)
	return nil
}

// publishSlowly publishes at the engine itself, the next when every subscriber has the
// last, so that each costs as many writes as there are subscribers.
func (b *bench) publishSlowly(e *engine, subscribers int, p *publishing) error {
	if subscribers == 0 {
		return nil // nobody tells that it was published
	}
	a, err := b.openClientsOf(e, subscribers, e.kind.listen(toolChannel))
	if err != nil {
		return err
	}
	defer a.crowd.close()
	publisher, err := b.openClientsOf(e, 1, nil) // what it is answered is of no interest
	if err != nil {
		return err
	}
	defer publisher.crowd.close()
	if _, err := quiet(e.pid()); err != nil { // then all are subscribed
		return err
	}
	request := e.kind.publish(toolChannel, text(b.contentSize))
	each := int64(subscribers * e.kind.pushed(toolChannel, b.contentSize))
	cost, err := meter{pid: e.pid(), crowd: a.crowd}.measure(func() error {
		for range slowPublications {
			a.goal.Store(a.heard.Load() + each)
			if err := writeAll(publisher.crowd.members[0].fd, request); err != nil {
				return err
			}
			if err := a.crowd.wait(a.reached, 1, deliveryTimeout); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.engine.add(slowPublications, cost)
	}
	return err
}
