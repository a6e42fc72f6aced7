//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// How many connections are opened at a time: few enough for any queue of the
// kernel, enough to give the server several in one turn.
const (
	batchDialers = 4
	batchOpen    = 64
)

// startCrowd returns a crowd of which nobody is connected yet. Unlike in openCrowd
// its receivers run from the start: while many connect, the first are pinged.
func startCrowd(c *crowd, size, threads int) error {
	c.members, c.failed = make([]member, size), make(chan error, 1)
	for range threads {
		r, err := openReceiver(c)
		if err != nil {
			return err
		}
		c.receivers = append(c.receivers, r)
	}
	for i := range c.members {
		c.members[i].fd = -1
		c.members[i].at = c.receivers[i%threads]
	}
	for _, r := range c.receivers {
		c.running.Go(r.run)
		<-r.started
	}
	return nil
}

// opened is how many members were given to their receivers.
func (c *crowd) opened() int {
	var n int64
	for _, r := range c.receivers {
		n += r.given.Load()
	}
	return int(n)
}

// pongs is how many pings were answered.
func (c *crowd) pongs() int64 {
	var n int64
	for _, r := range c.receivers {
		n += r.pongs.Load()
	}
	return n
}

// connect opens members until so many are open, a batch at a time.
func (t *throng) connect(to int) error {
	var (
		next   atomic.Int64
		work   sync.WaitGroup
		stop   atomic.Bool
		closed = make(chan struct{})
		start  = time.Now()
		from   = t.crowd.opened()
	)
	next.Store(int64(from))
	for range batchDialers {
		work.Go(func() {
			o := newOpener(t)
			for !stop.Load() {
				i := int(next.Add(batchOpen) - batchOpen)
				if i >= to {
					return
				}
				if err := o.open(i, min(i+batchOpen, to)); err != nil {
					t.crowd.fail(fmt.Errorf("a connection after %d: %w", t.crowd.opened(), err))
					return
				}
			}
		})
	}
	go func() { work.Wait(); close(closed) }()
	err := t.await(func() bool { return t.crowd.opened() == to }, func() string {
		n := t.crowd.opened()
		return fmt.Sprintf("%d of %d connected, %.0f/s", n, t.connections, float64(n-from)/time.Since(start).Seconds())
	})
	stop.Store(true)
	<-closed // each step of a dialer is bounded by dialTimeout
	return err
}

// opener opens connections side by side, so that the server is not asked for one
// at a time.
type opener struct {
	*throng
	upgrade []byte
	join    []byte
	buf     []byte
}

func newOpener(t *throng) *opener {
	to := t.server.target()
	return &opener{throng: t, upgrade: to.upgradeRequest(), join: clientFrame(opText, to.dialect.join(sharedChannel)), buf: make([]byte, 16<<10)}
}

// open takes members from nothing to joined and gives them to their receivers.
func (o *opener) open(from, to int) error {
	members := o.crowd.members[from:to]
	for _, step := range []func(m *member) error{o.dial, o.upgraded, o.joined} {
		for i := range members {
			if err := step(&members[i]); err != nil {
				return err
			}
		}
	}
	for i := range members {
		if err := members[i].at.take(&members[i], from+i); err != nil {
			return err
		}
	}
	return nil
}

// dial connects and asks for the upgrade.
func (o *opener) dial(m *member) (err error) {
	if m.fd, err = o.sources.dial(o.server.port); err != nil {
		m.fd = -1
		return err
	}
	return writeAll(m.fd, o.upgrade)
}

// upgraded awaits the upgrade and asks to join.
func (o *opener) upgraded(m *member) error {
	_, rest, err := upgrade(m.fd, nil, o.buf)
	if err != nil {
		return err
	}
	m.in.keep = true
	if _, _, _, err := m.message(rest); err != nil { // a ping may have come already
		return err
	}
	return writeAll(m.fd, o.join)
}

// joined awaits the answer to the join.
func (o *opener) joined(m *member) error {
	for {
		n, err := readSome(m.fd, o.buf)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		e, rest, found, err := m.message(o.buf[:n])
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		if !found {
			continue
		}
		if !bytes.Contains(e.payload, o.server.dialect.joined) {
			return fmt.Errorf("join: answered %s", e.payload)
		}
		m.in = frames{} // without the memory of the answer
		if _, _, found, err := m.message(rest); found || err != nil {
			return errors.Join(err, errors.New("a message came before anything was published"))
		}
		return nil
	}
}
