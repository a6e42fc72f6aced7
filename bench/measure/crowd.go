//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// dialers is how many connections a crowd opens at a time.
const dialers = 16

// member is one connection of the generator. It belongs to its receiver once it
// was added to it; sent is atomic since the first request leaves from elsewhere.
type member struct {
	fd      int
	at      *receiver
	in      frames
	seen    uint32       // messages received since it joined
	request []byte       // what an exchange sends; immutable
	sent    atomic.Int64 // when the request left, in nanoseconds of now
}

// crowd is many connections to one server and the threads that receive for them.
type crowd struct {
	members   []member
	receivers []*receiver
	failed    chan error   // the first failure after opening
	lost      atomic.Int64 // connections the server closed
	told      atomic.Int64 // of them, those that were told to reconnect
	ending    atomic.Bool  // the server is being stopped
	tolerant  bool         // a lost connection is counted and no failure
	running   sync.WaitGroup

	// message is called by a receiver for each complete data message. It must
	// not block.
	message func(m *member, size int)
}

// plan says how a crowd is opened.
type plan struct {
	size     int
	threads  int
	target   target
	sources  *sources
	channel  func(i int) string // to join once upgraded; nil to join none
	request  func(i int) []byte // of an exchange; nil for none
	message  func(m *member, size int)
	tolerant bool
}

// openCrowd connects, upgrades and joins, and returns when every member has its
// answer. On an error nothing stays open.
func openCrowd(p plan) (*crowd, error) {
	c := &crowd{members: make([]member, p.size), failed: make(chan error, 1), tolerant: p.tolerant, message: p.message}
	for range p.threads {
		r, err := openReceiver(c)
		if err != nil {
			c.close()
			return nil, err
		}
		c.receivers = append(c.receivers, r)
	}
	for i := range c.members {
		c.members[i].fd = -1
		c.members[i].at = c.receivers[i%p.threads]
	}
	if err := c.dialAll(p); err != nil {
		c.close()
		return nil, err
	}
	for _, r := range c.receivers {
		c.running.Go(r.run)
		<-r.started
	}
	return c, nil
}

// dialAll opens the members, several at a time and nearly in order.
func (c *crowd) dialAll(p plan) error {
	var (
		next  atomic.Int64
		work  sync.WaitGroup
		errs  = make([]error, dialers)
		stop  atomic.Bool
		ready = p.target.upgradeRequest()
	)
	for d := range dialers {
		work.Go(func() {
			buf := make([]byte, 16<<10)
			for !stop.Load() {
				i := int(next.Add(1) - 1)
				if i >= p.size {
					return
				}
				if err := c.open(p, i, ready, buf); err != nil {
					errs[d] = fmt.Errorf("connection %d of %d: %w", i+1, p.size, err)
					stop.Store(true)
				}
			}
		})
	}
	work.Wait()
	for _, err := range errs {
		if err != nil {
			return err // of several, which mostly say the same
		}
	}
	return nil
}

// open takes member i from nothing to joined and adds it to its receiver.
func (c *crowd) open(p plan, i int, upgradeRequest, buf []byte) error {
	fd, err := p.sources.dial(p.target.port)
	if err != nil {
		return err
	}
	m := &c.members[i]
	m.fd = fd
	var rest []byte
	if p.target.upgrade {
		if _, rest, err = upgrade(fd, upgradeRequest, buf); err != nil {
			return err
		}
	}
	if p.channel != nil {
		if err := m.join(p.channel(i), rest, buf); err != nil {
			return err
		}
	}
	if p.request != nil {
		m.request = p.request(i)
	}
	return m.at.add(m, i)
}

// joinCommand asks for an answer, by its id; the answer tells that the join is done.
func joinCommand(channel string) []byte {
	return fmt.Appendf(nil, `{"id":1,"command":"join","args":{"channel":%q}}`, channel)
}

// join sends the command on a blocking descriptor and waits for its answer.
func (m *member) join(channel string, rest, buf []byte) error {
	if err := writeAll(m.fd, clientFrame(opText, joinCommand(channel))); err != nil {
		return err
	}
	m.in.keep = true
	for {
		for len(rest) > 0 {
			var e event
			var ok bool
			if rest, e, ok = m.in.next(rest); !ok {
				break
			}
			if e.opcode == opText {
				m.in.keep = false
				return joined(e.payload, rest)
			}
		}
		n, err := readSome(m.fd, buf)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		rest = buf[:n]
	}
}

func joined(answer, rest []byte) error {
	if !bytes.Contains(answer, []byte(`"ok":true`)) {
		return fmt.Errorf("join: answered %s", answer)
	}
	if len(rest) > 0 {
		return errors.New("join: bytes behind the answer")
	}
	return nil
}

// fail reports the first failure to whoever waits for the crowd.
func (c *crowd) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// wait receives n times from done, or returns the crowd's failure.
func (c *crowd) wait(done <-chan struct{}, n int, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for range n {
		select {
		case <-done:
		case err := <-c.failed:
			return err
		case <-timer.C:
			return fmt.Errorf("not received by everybody within %v", limit)
		}
	}
	return nil
}

// threadTimes returns the CPU time of each receiver so far. A nil crowd has none.
func (c *crowd) threadTimes() []time.Duration {
	if c == nil {
		return nil
	}
	var times []time.Duration
	for _, r := range c.receivers {
		t, err := threadClock(r.tid)
		if err != nil {
			t = 0 // it ended with a failure, which wait reports
		}
		times = append(times, t)
	}
	return times
}

// close ends the receivers, then every connection with an ordinary FIN.
func (c *crowd) close() {
	for _, r := range c.receivers {
		r.stop()
	}
	c.running.Wait()
	for i := range c.members {
		if fd := c.members[i].fd; fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, r := range c.receivers {
		r.release()
	}
}
