//go:build linux

package main

import (
	"fmt"
	"slices"
)

// lineup is who still takes part in one scenario. A failure of the tree is the
// scenario's; another contender that fails is named in a remark and left out of the
// rest, so that everybody else's figures are kept. What it was measured on before are
// whole rounds from the first on: its n-th sample is still of round n, as everybody's.
type lineup struct {
	bench *bench
	fleet map[string]*server // those that run through the scenario, by name
	out   map[string]bool    // who failed
}

func (b *bench) lineUp() *lineup {
	return &lineup{bench: b, fleet: make(map[string]*server), out: make(map[string]bool)}
}

// startAll lets every contender start and run until close.
func (b *bench) startAll() (*lineup, error) {
	l := b.lineUp()
	return l, l.start()
}

// start starts who is left. On an error none runs on.
func (l *lineup) start() error {
	for _, c := range l.turns(0) {
		s, err := l.bench.start(c)
		if err == nil {
			l.fleet[c.name] = s
		}
		if err := l.judge(c.name, err); err != nil {
			l.close()
			return err
		}
	}
	return nil
}

func (l *lineup) close() {
	for name, s := range l.fleet {
		s.kill()
		delete(l.fleet, name)
	}
}

// turns returns who is left, in the order of a round.
func (l *lineup) turns(round int) []contender {
	return slices.DeleteFunc(l.bench.turns(round), func(c contender) bool { return l.out[c.name] })
}

// judge takes the outcome of one contender's part. It returns an error only for the
// tree. A server that failed is killed: it must not cost the others anything.
func (l *lineup) judge(name string, err error) error {
	if err == nil {
		return nil
	}
	s := l.fleet[name]
	if s != nil {
		err = s.failure(err)
	}
	if name == l.bench.tree().name {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.out[name] = true
	l.bench.record.leftOut = append(l.bench.record.leftOut, name)
	if s != nil {
		s.kill()
		delete(l.fleet, name)
	}
	l.bench.record.remark("%s: left out of the rest, it failed: %v", name, err)
	return nil
}
