//go:build linux

package main

import (
	"fmt"
)

// httpAudiences are who hears the publications of http.
var httpAudiences = []struct {
	name    string
	members int
}{{"to nobody", 0}, {"to one member", 1}}

// http measures what a POST /broadcast costs, contenders and floor in turn: over
// connections that are kept, each with one request in flight.
func (b *bench) http() error {
	in, err := b.startAll()
	if err != nil {
		return err
	}
	defer in.close()
	b.progress.expect(len(httpAudiences) * b.rounds)
	for _, a := range httpAudiences {
		measured := make(table)
		for round := range b.rounds {
			b.step("round %d of %d: publications %s, %d connections", round+1, b.rounds, a.name, b.httpConnections)
			for _, c := range in.turns(round) {
				err := b.httpServer(in.fleet[c.name], a.members, measured.of(c.name))
				if err != nil {
					err = fmt.Errorf("%s: %w", a.name, err)
				}
				if err := in.judge(c.name, err); err != nil {
					return err
				}
			}
			if a.members > 0 {
				continue // who is delivered to is no part of the floor
			}
			if err := b.httpFloor(in.fleet[b.tree().name], measured.of(floorName)); err != nil {
				return fmt.Errorf("floor: %w", err)
			}
		}
		b.addHTTP(a.name, a.members, measured)
	}
	return nil
}

func (b *bench) addHTTP(what string, members int, measured table) {
	b.addCosts(measured, costNames{what: what, unit: "publication", rate: "publications/s"})
	if members == 0 {
		return
	}
	for _, name := range b.names() {
		b.record.addLatencies(name, "paced", measured.of(name).latency)
	}
	b.record.remark("paced: %s publications a second %s, latency from when each was due to its 201", show(b.httpRate), what)
	b.record.remark("%s: at most %d bytes are published and not heard yet, or servers would be right to answer 503", what, earBytes)
}

// httpServer measures one server in one round.
func (b *bench) httpServer(s *server, members int, measured *costs) error {
	e, err := b.openEar(s, members)
	if err != nil {
		return err
	}
	defer e.close()
	x, err := b.openPosts(s)
	if err != nil {
		return err
	}
	defer x.crowd.close()
	e.watch(x)
	if err := x.exchangeFor(b.httpTime / 10); err != nil {
		return err
	}
	if err := e.hear(x.trips.Load()); err != nil {
		return err
	}
	if members > 0 {
		took, err := x.pacedTrips(b.httpRate, b.httpTime)
		if err != nil {
			return fmt.Errorf("paced: %w", err)
		}
		measured.latency.add(took)
		if err := e.hear(took.count()); err != nil {
			return fmt.Errorf("paced: %w", err)
		}
	}
	cost, err := meter{pid: s.pid(), crowd: x.crowd, beside: e.crowd}.measure(func() error {
		if err := x.exchangeFor(b.httpTime); err != nil {
			return err
		}
		return e.hear(x.trips.Load())
	})
	if err != nil {
		return err
	}
	measured.add(int(x.trips.Load()), cost)
	return nil
}

// openPosts opens connections that publish to the shared channel.
func (b *bench) openPosts(s *server) (*exchange, error) {
	request := postRequest(s.port, sharedChannel, text(b.contentSize))
	return openExchange(plan{size: b.httpConnections, threads: b.threads, target: target{port: s.port}, sources: b.sources,
		request: func(int) []byte { return request }, posts: true}, 0)
}

// httpFloor exchanges as many bytes as a POST to the tree and its answer have.
func (b *bench) httpFloor(s *server, measured *costs) error {
	request := postRequest(s.port, sharedChannel, text(b.contentSize))
	size, err := answerSize(s.port, request)
	if err != nil {
		return err
	}
	f, err := b.startFloor(roleOptions{role: "floor-echo", in: len(request), out: size})
	if err != nil {
		return err
	}
	defer f.kill()
	x, err := openExchange(plan{size: b.httpConnections, threads: b.threads, target: f.target(), sources: b.sources,
		request: func(int) []byte { return request }}, 0)
	if err != nil {
		return f.failure(err)
	}
	defer x.crowd.close()
	if err := x.exchangeFor(b.httpTime / 10); err != nil {
		return f.failure(err)
	}
	cost, err := meter{pid: f.pid(), crowd: x.crowd}.measure(func() error { return x.exchangeFor(b.httpTime) })
	if err != nil {
		return f.failure(err)
	}
	measured.add(int(x.trips.Load()), cost)
	return nil
}
