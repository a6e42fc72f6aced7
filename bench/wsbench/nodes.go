//go:build linux

package main

import (
	"flag"
	"fmt"
	"time"
)

// nodesOptions are the settings of scenarios nodes, engines, subscriptions and pings.
type nodesOptions struct {
	engines     enginesOptions
	connections int

	publishers       int // connections of engines
	publishTime      time.Duration
	toolPublications int // of an engine's own tool in one phase
	fanout           string

	subscribers int // connections of subscriptions
	channels    int // that each of them joins

	pingTime time.Duration // of one round of pings
}

func (o *nodesOptions) register(set *flag.FlagSet) {
	set.StringVar(&o.engines.redisServer, "redis-server", "redis-server", "nodes, engines, subscriptions: the `program`")
	set.StringVar(&o.engines.redisTool, "redis-benchmark", "redis-benchmark", "engines: the `program`")
	set.StringVar(&o.engines.natsServer, "nats-server", "./bin/engines/nats-server", "nodes, engines, subscriptions: the `program`")
	set.StringVar(&o.engines.natsTool, "nats", "./bin/engines/nats", "engines: the `program`, whose bench is used")
	set.IntVar(&o.connections, "nodes-connections", 5000, "nodes: members of the channel, on all nodes together")
	set.IntVar(&o.publishers, "nodes-publishers", 50, "engines: connections that publish")
	set.DurationVar(&o.publishTime, "nodes-publish-time", 2*time.Second, "engines: length of one phase")
	set.IntVar(&o.toolPublications, "nodes-tool-publications", 400000, "engines: publications of the engine's own tool in one phase; with many nodes fewer")
	set.StringVar(&o.fanout, "nodes-fanout", "0,1,4,16", "engines: how many nodes are subscribed, one phase for each")
	set.IntVar(&o.subscribers, "nodes-subscribers", 1000, "subscriptions: connections")
	set.DurationVar(&o.pingTime, "ping-time", 3*time.Second, "pings: length of one round")
	set.IntVar(&o.channels, "nodes-channels", 100, "subscriptions: channels that each of them joins, alone in each")
}

// audienceHalves is how many receivers, and so parts of the audience, there are: one on the
// node that is published at, one on the last. With one node both are on it.
const audienceHalves = 2

// nodeCosts is what was measured of one setup.
type nodeCosts struct {
	windows [2]costs     // of ways one and four in flight; CPU is that of all nodes
	engine  [2][]float64 // CPU us per publication
	latency latencySeries
	hop     latencySeries // with one member
}

// hopRate is how many publications a second one member gets while latencies are measured.
const hopRate = 1000

// nodes measures what a delivery costs when the audience is spread over nodes, through
// each engine, against one node without.
func (b *bench) nodes() error {
	all := b.setups()
	found := make(map[string]*nodeCosts)
	for _, s := range all {
		found[s.name()] = new(nodeCosts)
	}
	out := make(dropouts)
	b.progress.expect(b.rounds * len(all))
	for round := range b.rounds {
		for i := range all {
			s := all[i]
			if round%2 == 1 {
				s = all[len(all)-1-i]
			}
			b.step("round %d of %d: %s, %d members", round+1, b.rounds, s.name(), b.many.connections)
			out.try(s.name(), func() error { return b.nodesRound(s, found[s.name()]) })
		}
	}
	b.addNodes(all, found)
	return out.err()
}

func (b *bench) nodesRound(s setup, found *nodeCosts) error {
	c, err := b.openCluster(s)
	if err != nil {
		return err
	}
	defer c.close()
	if err := b.nodesHop(c, found); err != nil {
		return c.failure(fmt.Errorf("one member: %w", err))
	}
	return c.failure(b.nodesLoad(c, found))
}

// withAudience connects so many members of one channel to the targets in turn, and
// calls do with what publishes to them at the first node.
func (b *bench) withAudience(c *cluster, members, threads int, targets []target, do func(l *load, p *poster) error) error {
	t := newTally(members, c.first().dialect.delivered(sharedChannel, b.contentSize))
	crowd, err := openCrowd(plan{size: members, threads: threads, targets: targets, sources: b.sources,
		channels: channels{Shared: true}, message: t.message})
	if err != nil {
		return err
	}
	defer crowd.close()
	p, err := openPoster(c.first().port, sharedChannel, text(b.contentSize))
	if err != nil {
		return err
	}
	defer p.close()
	return do(&load{publisher: p, crowd: crowd, tally: t}, p)
}

// nodesHop publishes at the first node at a steady rate, for one member on the last.
func (b *bench) nodesHop(c *cluster, found *nodeCosts) error {
	if b.contentSize < stampedMin {
		return nil
	}
	return b.withAudience(c, 1, 1, []target{c.last().target()}, func(l *load, p *poster) error {
		took, err := l.paced(p, hopRate, b.pacedTime)
		if err == nil {
			found.hop.add(took)
		}
		return err
	})
}

// nodesLoad connects everybody and publishes to them.
func (b *bench) nodesLoad(c *cluster, found *nodeCosts) error {
	return b.withAudience(c, b.many.connections, audienceHalves, c.targets(), func(l *load, p *poster) error {
		return b.nodesPhases(c, l, p, found)
	})
}

// nodesPhases publishes at the first node at a steady rate, and then with four and
// with one publication in flight.
func (b *bench) nodesPhases(c *cluster, l *load, p *poster, found *nodeCosts) error {
	l.tally.only = l.crowd.receivers[audienceHalves-1]
	if b.contentSize >= stampedMin {
		took, err := l.paced(p, b.nodesRate(), b.pacedTime)
		if err != nil {
			return fmt.Errorf("paced: %w", err)
		}
		found.latency.add(took)
	}
	for i := len(found.windows) - 1; i >= 0; i-- {
		w := ways()[i]
		if err := w.send(l, warmPublications); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		nodes, engine, err := c.measure(meter{crowd: l.crowd}, func() error { return w.send(l, b.publications) })
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		found.windows[i].add(b.publications*b.many.connections, nodes)
		if c.engine != nil {
			found.engine[i] = append(found.engine[i], micro(engine.Sched)/float64(b.publications))
		}
	}
	return nil
}

// nodesRate is how many publications a second bring -delivery-rate deliveries.
func (b *bench) nodesRate() float64 { return b.deliveryRate / float64(b.many.connections) }

func (b *bench) addNodes(all []setup, found map[string]*nodeCosts) {
	alone := found[all[0].name()]
	for _, s := range all {
		name, costs := s.name(), found[s.name()]
		for i := range costs.windows {
			what, c := ways()[i].name, &costs.windows[i]
			b.record.add(name, "CPU of the nodes, "+what, "CPU us per delivery", "", c.sched...)
			b.record.add(name, "CPU over one node in memory, "+what, "ratio", "", ratios(c.sched, alone.windows[i].sched)...)
			b.record.add(name, "CPU of the engine, "+what, "CPU us per publication", "", costs.engine[i]...)
			b.record.add(name, "rate, "+what, "deliveries/s", "", c.rate...)
			b.record.add(name, "rate over one node in memory, "+what, "ratio", "", ratios(c.rate, alone.windows[i].rate)...)
			b.record.addGenerator(name, what, c.busiest)
			b.record.addNoise(name, what, c.noise)
		}
		if b.contentSize >= stampedMin {
			b.record.addLatencies(name, "one member, paced", costs.hop)
			b.record.addLatencies(name, "paced", costs.latency)
		}
	}
	b.record.remark("%d members, half of them on each of two nodes, %d bytes of content; published by POST at the first. Nodes, engine and generator share the machine's cores: rates are to be compared with each other only",
		b.many.connections, b.contentSize)
	b.record.remark("paced: %s publications a second, latency from when each should have left to each delivery to the members on the last node, which with two is not the one it was published at; one member: %d publications a second for one member there", show(b.nodesRate()), hopRate)
}
