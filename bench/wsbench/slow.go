//go:build linux

package main

import (
	"fmt"
	"time"
)

const (
	minStuckQueue = 4 << 10
	// stuckKernel is what the kernels of both sides may take before the server has to
	// queue for the stuck reader, by its small segments and buffer.
	stuckKernel = 96 << 10
	// stuckShare is the part of a phase after which the stuck reader's queue is to be
	// full. What is left is for the end the server makes of it.
	stuckShare = 0.6
	// maxStuckContent is below what servers take in one message.
	maxStuckContent = 60000
)

// slow measures the deliveries of a channel's members alone, and beside one member
// that never reads.
func (b *bench) slow() error {
	content := b.stuckContent()
	b.progress.expect(2 * b.stuckRounds * len(b.contenders))
	if float64(content)*b.publishRate()*b.stuckTime.Seconds() < float64(b.stuckQueue) {
		b.record.remark("the stuck reader is not sent enough to fill its queue: -stuck-time %v is too short for %s publications a second", b.stuckTime, show(b.publishRate()))
	}
	in := b.lineUp()
	for _, c := range b.contenders {
		if err := in.judge(c.name, b.slowServer(c, content)); err != nil {
			return err
		}
	}
	b.record.remark("%s publications of %d bytes a second to %d members; the stuck reader has small buffers (SO_RCVBUF %d, segments of %d bytes)",
		show(b.publishRate()), content, b.connections, stuckBuffer, stuckSegment)
	return nil
}

// stuckContent is what the publications have to carry so that the stuck reader's
// queue is full in time.
func (b *bench) stuckContent() int {
	publications := b.publishRate() * b.stuckTime.Seconds() * stuckShare
	return min(max(int(float64(b.stuckQueue+stuckKernel)/publications), stampedMin), maxStuckContent)
}

// stuckFlags make the queue of the tree's server small: everybody else is sent as
// much as fills it.
func (b *bench) stuckFlags(c contender) []string {
	if c.name != b.tree().name {
		return nil
	}
	return []string{"-write-queue-size", fmt.Sprint(b.stuckQueue)}
}

// slowServer measures one server, and records what it found.
func (b *bench) slowServer(c contender, content int) error {
	s, err := b.start(c, b.stuckFlags(c)...)
	if err != nil {
		return err
	}
	defer s.kill()
	l, p, err := b.openAudience(s, channels{Shared: true}, content)
	if err != nil {
		return s.failure(err)
	}
	defer l.crowd.close()
	defer p.close()
	// What is published must not wait for what is undelivered: servers bound that.
	l.atMost = max(b.stuckQueue/4/serverFrameSize(content), 1)
	var found slowness
	for round := 0; err == nil && round < b.stuckRounds; round++ {
		err = b.slowRound(s, l, p, &found)
	}
	if len(found.fates) > 0 {
		found.add(b.record, c.name)
	}
	return s.failure(err)
}

// slowRound measures once alone, and once beside a stuck reader.
func (b *bench) slowRound(s *server, l *load, p *poster, found *slowness) error {
	b.step("%s: %d connections alone", s.name, b.connections)
	if err := l.slide(1, 1); err != nil { // whatever came before is over
		return err
	}
	alone, err := l.paced(p, b.publishRate(), b.stuckTime)
	if err != nil {
		return fmt.Errorf("alone: %w", err)
	}
	found.alone.add(alone)
	b.step("%s: %d connections beside a stuck reader", s.name, b.connections)
	before, err := readMemory(s.pid())
	if err != nil {
		return err
	}
	if err := resetPeak(s.pid()); err != nil {
		return err
	}
	k, err := b.openStuck(s)
	if err != nil {
		return fmt.Errorf("stuck reader: %w", err)
	}
	defer k.close()
	beside, err := l.paced(p, b.publishRate(), b.stuckTime)
	if err != nil {
		return fmt.Errorf("beside a stuck reader: %w", err)
	}
	found.beside.add(beside)
	after, err := readMemory(s.pid())
	if err != nil {
		return err
	}
	found.growth = append(found.growth, float64(after.Peak-before.RSS)/1e6)
	found.fates = append(found.fates, k.drain())
	return nil
}

// slowness collects the samples of one server, a sample a round.
type slowness struct {
	alone, beside latencySeries
	growth        []float64
	fates         []fate
}

func (f *slowness) add(r *record, server string) {
	r.addLatencies(server, "others alone", f.alone)
	r.addLatencies(server, "others beside a stuck reader", f.beside)
	var bytes, messages, told, seconds []float64
	for _, end := range f.fates {
		bytes = append(bytes, float64(end.bytes))
		messages = append(messages, float64(end.messages))
		seconds = append(seconds, end.span().Seconds())
		told = append(told, 0)
		if end.code == slowConsumer {
			told[len(told)-1] = 1
		}
		r.remark("%s: the stuck reader, when it read at last, found %d messages and %s", server, end.messages, end.how)
	}
	r.add(server, "stuck reader: closed with 4001", "connections", "", told...)
	r.add(server, "stuck reader: bytes it was sent", "B", "", bytes...)
	r.detail(server, "stuck reader: messages it was sent", "messages", messages...)
	r.add(server, "stuck reader: from the first to the last message it was sent", "s", "", seconds...)
	r.add(server, "peak RSS beside a stuck reader, over before", "MB", "", f.growth...)
}

// span is the time between the instants that the first and the last message carry.
func (f fate) span() time.Duration {
	if f.messages < 2 {
		return 0
	}
	return time.Duration(f.last - f.first)
}
