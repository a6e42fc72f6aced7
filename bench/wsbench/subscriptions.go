//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// registry is what is measured of channels that one connection each has joined, with
// one engine or with none.
type registry struct {
	node, engine []float64 // bytes of RSS per channel
	joins        []float64 // per second of wall time
	joinNode     []float64 // CPU us per join
	joinEngine   []float64
	again        []float64 // seconds from the engine's return to the last subscription
	againNode    []float64 // CPU us per subscription
	againEngine  []float64
}

// joiners are connections that join many channels, all at once.
type joiners struct {
	crowd  *crowd
	want   atomic.Int64
	joined atomic.Int64
	no     atomic.Int64 // answers that said no
	done   chan struct{}
}

// subscriptions measures channels with a member each: memory at the node and at the
// engine, joins a second, and how soon a node is subscribed to all of them again when
// the engine has been killed and started.
func (b *bench) subscriptions() error {
	kinds := append([]*engineKind{nil}, b.present()...)
	b.progress.expect(b.rounds * len(kinds))
	found, out := make([]registry, len(kinds)), make(dropouts)
	for round := range b.rounds {
		for i, k := range kinds {
			s := setup{k, 1}
			b.step("round %d of %d: %s, %d channels", round+1, b.rounds, s.name(), b.channelCount())
			out.try(s.name(), func() error { return b.subscribeAll(s, &found[i]) })
		}
	}
	for i, k := range kinds {
		b.addRegistry(setup{k, 1}, &found[i])
	}
	b.record.remark("%d connections join %d channels each, all at once, alone in each; the names have %d bytes", b.many.subscribers, b.many.channels, len(ownChannel(0)))
	b.record.remark("subscribed again: the engine is killed and started at once; the time is from when it accepts connections to when it says that it has all subscriptions, and a publication is delivered after it. No connection may be lost")
	return out.err()
}

func (b *bench) channelCount() int { return b.many.subscribers * b.many.channels }

func (b *bench) subscribeAll(s setup, found *registry) error {
	c, err := b.openCluster(s, "-max-channels-per-connection", strconv.Itoa(b.many.channels))
	if err != nil {
		return err
	}
	defer c.close()
	return c.failure(b.registerAll(c, found))
}

// registerAll connects everybody, who then join; memory is that of the joins alone.
func (b *bench) registerAll(c *cluster, found *registry) error {
	j, err := b.openJoiners(c.first())
	if err != nil {
		return err
	}
	defer j.crowd.close()
	before, err := b.holdings(c)
	if err != nil {
		return err
	}
	base := 0
	if c.engine != nil {
		if base, err = c.kind.subscribed(c.engine); err != nil {
			return err
		}
	}
	if err := b.joinAll(c, j, found); err != nil {
		return err
	}
	after, err := b.holdings(c)
	if err != nil {
		return err
	}
	n := float64(b.channelCount())
	found.node = append(found.node, float64(after.node-before.node)/n)
	if c.engine == nil {
		return j.crowd.whole()
	}
	found.engine = append(found.engine, float64(after.engine-before.engine)/n)
	if err := b.loseEngine(c, j, base, found); err != nil {
		return err
	}
	return j.crowd.whole()
}

// holdings is the RSS of a node and of its engine at rest.
type holdings struct{ node, engine int64 }

func (b *bench) holdings(c *cluster) (h holdings, err error) {
	m, err := b.rest(c.first().pid(), true)
	if err != nil {
		return h, err
	}
	h.node = m.RSS
	if c.engine != nil {
		if m, err = readMemory(c.engine.pid()); err != nil {
			return h, err
		}
		h.engine = m.RSS
	}
	return h, nil
}

func (b *bench) openJoiners(s *server) (*joiners, error) {
	j := &joiners{done: make(chan struct{}, 1)}
	j.want.Store(int64(b.channelCount()))
	c, err := openCrowd(plan{size: b.many.subscribers, threads: b.threads, target: s.target(), sources: b.sources, message: j.message,
		request: func(i int) []byte {
			var all []byte
			for _, name := range (channels{Own: b.many.channels}).of(i) {
				all = append(all, clientFrame(opText, s.dialect.join(name))...)
			}
			return all
		}})
	if err != nil {
		return nil, err
	}
	j.crowd = c
	return j, nil
}

// message counts an answer. What is published later is none.
func (j *joiners) message(_ *member, e event) {
	if !bytes.HasPrefix(e.stamp, joinedPrefix) {
		j.no.Add(1)
	}
	if j.joined.Add(1) == j.want.Load() {
		j.done <- struct{}{}
	}
}

// joinAll lets everybody join everything, and waits for the last answer.
func (b *bench) joinAll(c *cluster, j *joiners, found *registry) error {
	node, engine, err := c.measure(meter{crowd: j.crowd}, func() error {
		for i := range j.crowd.members {
			m := &j.crowd.members[i]
			if err := writeAll(m.fd, m.request); err != nil {
				return err
			}
		}
		return j.crowd.wait(j.done, 1, deliveryTimeout)
	})
	if err != nil {
		return fmt.Errorf("%d of %d joins were answered: %w", j.joined.Load(), b.channelCount(), err)
	}
	if no := j.no.Load(); no > 0 {
		return fmt.Errorf("%d of %d joins were answered with an error", no, b.channelCount())
	}
	n := float64(b.channelCount())
	found.joins = append(found.joins, n/node.wall.Seconds())
	found.joinNode = append(found.joinNode, micro(node.cpu.Sched)/n)
	if c.engine != nil {
		found.joinEngine = append(found.joinEngine, micro(engine.Sched)/n)
	}
	return nil
}

// loseEngine kills the engine, starts it again, and waits until it has every
// subscription. It held base before there were any.
func (b *bench) loseEngine(c *cluster, j *joiners, base int, found *registry) error {
	before, err := readCPU(c.first().pid())
	if err != nil {
		return err
	}
	c.engine.kill()
	if err := b.restart(c.engine); err != nil {
		return err
	}
	start := time.Now()
	want := base + b.channelCount()
	for have := 0; have < want; {
		if time.Since(start) > deliveryTimeout {
			return fmt.Errorf("the engine has %d of %d subscriptions %v after it came back", have, want, deliveryTimeout)
		}
		time.Sleep(5 * time.Millisecond)
		if have, err = c.kind.subscribed(c.engine); err != nil {
			return err
		}
	}
	found.again = append(found.again, time.Since(start).Seconds())
	if _, err := quiet(c.engine.pid()); err != nil {
		return err
	}
	after, err := readCPU(c.first().pid())
	if err != nil {
		return err
	}
	engine, err := readCPU(c.engine.pid())
	if err != nil {
		return err
	}
	n := float64(b.channelCount())
	found.againNode = append(found.againNode, micro(after.Sched-before.Sched)/n)
	found.againEngine = append(found.againEngine, micro(engine.Sched)/n)
	return j.hearAgain(c.first())
}

// hearAgain publishes to one of the channels until it is taken, and waits for it.
func (j *joiners) hearAgain(s *server) error {
	j.want.Store(j.joined.Load() + 1)
	if err := awaitBroker(s.port, ownChannel(0)); err != nil {
		return err
	}
	if err := j.crowd.wait(j.done, 1, deliveryTimeout); err != nil {
		return fmt.Errorf("after the engine came back: %w", err)
	}
	return nil
}

func (b *bench) addRegistry(s setup, found *registry) {
	name, r := s.name(), b.record
	r.add(name, "RSS of the node per channel", "B", "", found.node...)
	r.add(name, "RSS of the engine per channel", "B", "", found.engine...)
	r.add(name, "rate of joins", "joins/s", "", found.joins...)
	r.add(name, "CPU of the node per join", "CPU us per join", "", found.joinNode...)
	r.add(name, "CPU of the engine per join", "CPU us per join", "", found.joinEngine...)
	r.add(name, "subscribed again", "s", "", found.again...)
	r.add(name, "CPU of the node, subscribed again", "CPU us per channel", "", found.againNode...)
	r.add(name, "CPU of the engine, subscribed again", "CPU us per channel", "", found.againEngine...)
}
