//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

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
