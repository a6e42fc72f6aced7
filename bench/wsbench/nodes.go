//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
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

// setup is an engine, or none, and how many nodes there are.
type setup struct {
	kind  *engineKind // nil: publications stay in the process
	nodes int
}

func (s setup) name() string {
	name := "memory"
	if s.kind != nil {
		name = s.kind.name
	}
	if s.nodes == 1 {
		return name + ", 1 node"
	}
	return fmt.Sprintf("%s, %d nodes", name, s.nodes)
}

// present are the engines that there are; a remark names each that is not.
func (b *bench) present() []*engineKind {
	var all []*engineKind
	for _, k := range engineKinds() {
		if why := k.absent(&b.many.engines); why != "" {
			b.record.remark("%s", why)
			continue
		}
		all = append(all, k)
	}
	return all
}

// setups are what scenario nodes compares.
func (b *bench) setups() []setup {
	all := []setup{{nodes: 1}}
	for _, k := range b.present() {
		all = append(all, setup{k, 1}, setup{k, audienceHalves})
	}
	return all
}

// cluster is a running setup.
type cluster struct {
	setup
	engine *engine // nil without one
	nodes  []*server
}

// openCluster starts the engine and the nodes, and waits until a publication is taken
// at each of them.
func (b *bench) openCluster(s setup, extra ...string) (*cluster, error) {
	c := &cluster{setup: s}
	if s.kind != nil {
		e, err := b.startEngine(s.kind)
		if err != nil {
			return nil, err
		}
		c.engine = e
	}
	for range s.nodes {
		n, err := b.start(b.tree(), append(c.engine.flags(), extra...)...)
		if err == nil {
			c.nodes = append(c.nodes, n)
			err = awaitBroker(n.port, "nobody")
		}
		if err != nil {
			err = c.failure(err)
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// awaitBroker publishes to a channel until a node takes it.
func awaitBroker(port int, channel string) error {
	client := http.Client{Timeout: startTimeout}
	defer client.CloseIdleConnections()
	url := fmt.Sprintf("http://127.0.0.1:%d/broadcast", port)
	body := fmt.Sprintf(`{"channel":%q,"content":0}`, channel)
	for end := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		answer, err := client.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			return err
		}
		said, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode == http.StatusCreated {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("POST /broadcast: answered %s: %s", answer.Status, said)
		}
	}
}

func (c *cluster) first() *server { return c.nodes[0] }

func (c *cluster) last() *server { return c.nodes[len(c.nodes)-1] }

// targets are the nodes, for a crowd whose members go to them in turn.
func (c *cluster) targets() []target {
	var all []target
	for _, n := range c.nodes {
		all = append(all, n.target())
	}
	return all
}

// measure runs load, and returns what it cost the nodes together, and the engine.
func (c *cluster) measure(m meter, load func() error) (nodes spent, engine cpuTime, err error) {
	m.pid = c.first().pid()
	for _, n := range c.nodes[1:] {
		m.more = append(m.more, n.pid())
	}
	if c.engine != nil {
		m.more = append(m.more, c.engine.pid())
	}
	nodes, err = m.measure(load)
	if err != nil {
		return nodes, engine, err
	}
	if c.engine != nil {
		engine = nodes.more[len(nodes.more)-1]
		nodes.more = nodes.more[:len(nodes.more)-1]
	}
	for _, t := range nodes.more {
		nodes.cpu = nodes.cpu.add(t)
	}
	return nodes, engine, nil
}

// failure explains err by whoever of them ended.
func (c *cluster) failure(err error) error {
	for _, n := range c.nodes {
		err = n.failure(err)
	}
	if c.engine != nil {
		err = c.engine.failure(err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c.name(), err)
	}
	return err
}

func (c *cluster) close() {
	for _, n := range c.nodes {
		n.kill()
	}
	c.engine.stop()
}

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

// dropouts are those that failed in a scenario: they are left out of the rest of it, and
// everybody else's figures are kept. What a dropout was measured on before are whole
// rounds from the first on.
type dropouts map[string]error

// try lets one of them do its part, unless it has failed before.
func (d dropouts) try(name string, do func() error) {
	if d[name] != nil {
		return
	}
	if err := do(); err != nil {
		d[name] = err
	}
}

// err returns why any failed.
func (d dropouts) err() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d)) {
		errs = append(errs, d[name])
	}
	return errors.Join(errs...)
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

// nodesHop publishes at the first node at a steady rate, for one member on the last.
func (b *bench) nodesHop(c *cluster, found *nodeCosts) error {
	if b.contentSize < stampedMin {
		return nil
	}
	t := newTally(1, c.first().dialect.delivered(sharedChannel, b.contentSize))
	crowd, err := openCrowd(plan{size: 1, threads: 1, target: c.last().target(), sources: b.sources,
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
	took, err := (&load{publisher: p, crowd: crowd, tally: t}).paced(p, hopRate, b.pacedTime)
	if err == nil {
		found.hop.add(took)
	}
	return err
}

// nodesLoad connects everybody, publishes at the first node at a steady rate, and
// then with four and with one publication in flight.
func (b *bench) nodesLoad(c *cluster, found *nodeCosts) error {
	t := newTally(b.many.connections, c.first().dialect.delivered(sharedChannel, b.contentSize))
	crowd, err := openCrowd(plan{size: b.many.connections, threads: audienceHalves, targets: c.targets(), sources: b.sources,
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
	t.only = crowd.receivers[audienceHalves-1]
	l := &load{publisher: p, crowd: crowd, tally: t}
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
		nodes, engine, err := c.measure(meter{crowd: crowd}, func() error { return w.send(l, b.publications) })
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
