//go:build linux

package main

import (
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
func startCrowd(size, threads int, message func(*member, int)) (*crowd, error) {
	c := &crowd{members: make([]member, size), failed: make(chan error, 1), message: message}
	for range threads {
		r, err := openReceiver(c)
		if err != nil {
			c.close()
			return nil, err
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
	return c, nil
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

// expectEnd says that from now on the server may close every connection.
func (c *crowd) expectEnd() { c.ending.Store(true) }

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
	answers [batchOpen]frames
}

func newOpener(t *throng) *opener {
	o := &opener{
		throng: t, upgrade: t.server.target().upgradeRequest(),
		join: clientFrame(opText, joinCommand(sharedChannel)), buf: make([]byte, 16<<10),
	}
	for i := range o.answers {
		o.answers[i].keep = true
	}
	return o
}

// open takes members from nothing to joined and gives them to their receivers.
func (o *opener) open(from, to int) error {
	members := o.crowd.members[from:to]
	for i := range members {
		fd, err := o.sources.dial(o.server.port)
		if err != nil {
			return err
		}
		members[i].fd = fd
		if err := writeAll(fd, o.upgrade); err != nil {
			return err
		}
	}
	for i := range members {
		_, rest, err := upgrade(members[i].fd, nil, o.buf) // it was asked for above
		if err != nil {
			return err
		}
		if _, err := o.follow(i, members[i].fd, rest); err != nil {
			return err
		}
		if err := writeAll(members[i].fd, o.join); err != nil {
			return err
		}
	}
	for i := range members {
		if err := o.awaitJoined(i, members[i].fd); err != nil {
			return err
		}
		if err := members[i].at.take(&members[i], from+i); err != nil {
			return err
		}
	}
	return nil
}

// awaitJoined reads until the answer to the join is there.
func (o *opener) awaitJoined(i, fd int) error {
	for {
		n, err := readSome(fd, o.buf)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		if done, err := o.follow(i, fd, o.buf[:n]); done || err != nil {
			return err
		}
	}
}

// follow reads what connection i of the batch got. It reports whether the answer
// to the join was there, and answers a ping that is as early.
func (o *opener) follow(i, fd int, p []byte) (done bool, err error) {
	for len(p) > 0 {
		var e event
		var ok bool
		if p, e, ok = o.answers[i].next(p); !ok {
			return false, nil
		}
		switch e.opcode {
		case opText:
			return true, joined(e.payload, p)
		case opPing:
			sendNow(fd, clientFrame(opPong, e.payload))
		}
	}
	return false, nil
}
