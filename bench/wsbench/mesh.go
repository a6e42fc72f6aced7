//go:build linux

package main

import (
	"fmt"
	"time"
)

// mesh measures many channels that are published to at the same time: all
// connections spread over -mesh-channels channels, a publication to each of them
// in turn.
func (b *bench) mesh() error {
	in, err := b.startAll()
	if err != nil {
		return err
	}
	defer in.close()
	measured := make(table)
	b.progress.expect(b.rounds * len(b.contenders))
	for round := range b.rounds {
		for _, c := range in.turns(round) {
			b.step("round %d of %d: %s, %d channels of %d members", round+1, b.rounds, c.name, b.meshChannels, b.connections/b.meshChannels)
			if err := in.judge(c.name, b.meshServer(in.fleet[c.name], measured.of(c.name))); err != nil {
				return err
			}
		}
	}
	b.addCosts(measured, costNames{what: "all channels", unit: "delivery", rate: "deliveries/s"})
	for _, name := range b.names() {
		b.record.addLatencies(name, "paced", measured.of(name).latency)
	}
	b.record.remark("paced: %s publications a second over all channels, latency from when each should have left to each delivery", show(b.meshRate()))
	return nil
}

// meshMembers is how many connections take part: as many in each channel.
func (b *bench) meshMembers() int { return b.connections / b.meshChannels * b.meshChannels }

// meshRate is how many publications a second bring -delivery-rate deliveries.
func (b *bench) meshRate() float64 {
	return b.deliveryRate * float64(b.meshChannels) / float64(b.meshMembers())
}

// meshLoad publishes to the channels of a mesh in turn. A round is one publication
// to each channel, and brings each member one message.
type meshLoad struct {
	*load
	posters []*poster // one for each channel, which share connections
}

func (b *bench) openMesh(s *server) (*meshLoad, error) {
	members := b.meshMembers()
	t := newTally(members, s.dialect.delivered(ownChannel(0), b.contentSize))
	c, err := openCrowd(plan{size: members, threads: b.threads, target: s.target(), sources: b.sources,
		channels: channels{Among: b.meshChannels}, message: t.message})
	if err != nil {
		return nil, err
	}
	first, err := openPoster(s.port, ownChannel(0), text(b.contentSize))
	if err != nil {
		c.close()
		return nil, err
	}
	m := &meshLoad{load: &load{publisher: first, crowd: c, tally: t}}
	for i := range b.meshChannels {
		m.posters = append(m.posters, first.sibling(s.port, ownChannel(i), text(b.contentSize)))
	}
	return m, nil
}

func (m *meshLoad) close() {
	m.crowd.close()
	m.publisher.close()
}

// rounds gives n rounds, with window of them in flight.
func (m *meshLoad) rounds(window, n int) error {
	for i := range n {
		if i >= window {
			if err := m.arrive(1); err != nil {
				return err
			}
		}
		for j, p := range m.posters {
			if err := p.publish(j%doors, 1); err != nil {
				return err
			}
		}
	}
	if err := m.arrive(min(window, n)); err != nil {
		return err
	}
	return m.collect()
}

// paced publishes to one channel after the other at a steady rate, whole rounds of
// them.
func (m *meshLoad) paced(rate float64, length time.Duration) (*latencies, error) {
	return strained(func() (*latencies, error) { return m.pacedRounds(rate, length) }, m.crowd)
}

func (m *meshLoad) pacedRounds(rate float64, length time.Duration) (*latencies, error) {
	m.crowd.takeLatencies()
	m.tally.timed.Store(true)
	defer m.tally.timed.Store(false)
	every := time.Duration(float64(time.Second) / rate)
	whole := max(int(length/every)/len(m.posters), 1)
	begun := flight{load: m.load}
	err := pace(every, time.Duration(whole*len(m.posters))*every, func(i int, instant int64) error {
		if i%len(m.posters) == 0 {
			if err := begun.add(); err != nil {
				return err
			}
		}
		return m.posters[i%len(m.posters)].publishAt(i%doors, instant)
	})
	if err != nil {
		return nil, err
	}
	if err := begun.land(); err != nil {
		return nil, err
	}
	return m.crowd.takeLatencies(), m.collect()
}

func (b *bench) meshServer(s *server, measured *costs) error {
	m, err := b.openMesh(s)
	if err != nil {
		return err
	}
	defer m.close()
	took, err := m.paced(b.meshRate(), b.pacedTime)
	if err != nil {
		return fmt.Errorf("paced: %w", err)
	}
	measured.latency.add(took)
	if err := m.rounds(batchSize, warmPublications); err != nil {
		return err
	}
	cost, err := meter{pid: s.pid(), crowd: m.crowd}.measure(func() error { return m.rounds(batchSize, b.publications) })
	if err != nil {
		return err
	}
	measured.add(b.publications*b.meshMembers(), cost)
	return nil
}
