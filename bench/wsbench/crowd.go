//go:build linux

package main

import (
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
// was added to it; what is atomic is for others too, since the first request of a
// round trip leaves from elsewhere.
type member struct {
	fd      int
	at      *receiver
	in      frames
	seen    uint32       // messages received since it joined
	owed    atomic.Int32 // paced round trips that were due and have no answer
	due     int64        // when the oldest of them should have left; for the receiver
	request []byte       // what an exchange sends; immutable
	answer  *answer      // of HTTP, as far as it has come; nil where there are frames
	sent    atomic.Int64 // when the request left, in nanoseconds of now
}

// crowd is many connections to one server and the threads that receive for them.
type crowd struct {
	members   []member
	receivers []*receiver
	agents    []*agent     // processes that hold the members this one cannot
	dialect   *dialect     // nil towards a floor
	failed    chan error   // the first failure after opening
	lost      atomic.Int64 // connections the server closed
	tolerant  bool         // a lost connection is counted and no failure
	running   sync.WaitGroup

	// message is called by a receiver for each complete data message. It must
	// not block.
	message func(m *member, e event)
	// raw is called by a receiver with bytes as they come, where there are no frames;
	// nil where there are. It must not block.
	raw func(m *member, p []byte)
	// ended is called by a receiver when the server has closed a connection, with
	// the code of its Close frame or 0; nil to not care. It must not block.
	ended func(m *member, code uint16)
}

// plan says how a crowd is opened.
type plan struct {
	size     int
	first    int // number of the first member, for its channels
	threads  int
	target   target
	targets  []target // where members go in turn, of one dialect; none: all go to target
	sources  *sources
	channels channels           // to join once upgraded
	request  func(i int) []byte // of an exchange; nil for none
	message  func(m *member, e event)
	raw      func(m *member, p []byte) // instead of message, towards a target without a dialect
	posts    bool                      // of an exchange: it is of POST /broadcast, and the target has no dialect
	ended    func(m *member, code uint16)
	tolerant bool
	fleet    *agentPlan // how members beyond what this process holds are held; nil: all are here
}

// targetOf is where member i goes.
func (p plan) targetOf(i int) target {
	if len(p.targets) == 0 {
		return p.target
	}
	return p.targets[i%len(p.targets)]
}

// openCrowd connects, upgrades and joins, and returns when every member has its
// answer. On an error nothing stays open.
func openCrowd(p plan) (*crowd, error) {
	here := p.size
	if p.fleet != nil {
		here = min(here, p.fleet.perProcess)
	}
	c := &crowd{members: make([]member, here), failed: make(chan error, 1), tolerant: p.tolerant,
		dialect: p.targetOf(0).dialect, message: p.message, raw: p.raw, ended: p.ended}
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
	if err := c.openAll(p); err != nil {
		c.close()
		return nil, err
	}
	for _, r := range c.receivers {
		c.running.Go(r.run)
		<-r.started
	}
	return c, nil
}

// openAll opens the members here, then lets agents open the rest.
func (c *crowd) openAll(p plan) error {
	if err := c.dialAll(p); err != nil {
		return err
	}
	if p.size == len(c.members) {
		return nil
	}
	return c.sendAgents(p)
}

// dialAll opens the members, several at a time and nearly in order.
func (c *crowd) dialAll(p plan) error {
	var (
		next  atomic.Int64
		work  sync.WaitGroup
		errs  = make([]error, dialers)
		stop  atomic.Bool
		ready = p.targetOf(0).upgradeRequest()
	)
	for d := range dialers {
		work.Go(func() {
			buf := make([]byte, 16<<10)
			for !stop.Load() {
				i := int(next.Add(1) - 1)
				if i >= len(c.members) {
					return
				}
				if err := c.open(p, i, ready, buf); err != nil {
					errs[d] = fmt.Errorf("connection %d of %d: %w", p.first+i+1, p.size, err)
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
	to := p.targetOf(i)
	fd, err := p.sources.dial(to.port)
	if err != nil {
		return err
	}
	m := &c.members[i]
	m.fd = fd
	if d := to.dialect; d != nil {
		_, rest, err := upgrade(fd, upgradeRequest, buf)
		if err != nil {
			return err
		}
		if err := m.enter(d, p.channels.of(p.first+i), rest, buf); err != nil {
			return err
		}
	}
	if p.request != nil {
		m.request = p.request(i)
	}
	return m.at.add(m, i)
}

// enter opens the session and joins channels, on a blocking descriptor.
func (m *member) enter(d *dialect, names []string, rest, buf []byte) (err error) {
	m.in.keep = true
	if rest, err = d.greet(m, rest, buf); err != nil {
		return err
	}
	for _, name := range names {
		if rest, err = d.enter(m, name, rest, buf); err != nil {
			return err
		}
		m.in.skip = d.lead(name) // of the channel joined last; they have one length
	}
	m.in.keep = d.lines
	if _, _, found, err := m.message(rest); found || err != nil {
		return errors.Join(err, errors.New("a message came before anything was published"))
	}
	return nil
}

// message takes bytes on a blocking descriptor until a data message ends, and
// answers pings. What it returns is borrowed until more is taken.
func (m *member) message(p []byte) (e event, left []byte, found bool, err error) {
	for len(p) > 0 {
		var ok bool
		if p, e, ok = m.in.next(p); !ok {
			break
		}
		switch e.opcode {
		case opText:
			return e, p, true, nil
		case opPing:
			err = writeAll(m.fd, clientFrame(opPong, e.payload))
		case opClose:
			err = errors.New("the server closed the connection")
		}
		if err != nil {
			return e, nil, false, err
		}
	}
	return e, nil, false, nil
}

// ask sends a command on a blocking descriptor and waits for the next message,
// which is borrowed. It takes what came before and returns what came behind.
func (m *member) ask(command, rest, buf []byte) (answer, left []byte, err error) {
	if err := writeAll(m.fd, clientFrame(opText, command)); err != nil {
		return nil, nil, err
	}
	for {
		e, left, found, err := m.message(rest)
		if found || err != nil {
			return e.payload, left, err
		}
		n, err := readSome(m.fd, buf)
		if err != nil {
			return nil, nil, err
		}
		rest = buf[:n]
	}
}

// takeLatencies returns what the receivers recorded since the last call. No message
// may be on its way.
func (c *crowd) takeLatencies() *latencies {
	all := newLatencies()
	for _, r := range c.receivers {
		all.merge(r.took)
		r.took.counts.Reset()
	}
	for _, a := range c.agents {
		a.takeLatencies(all)
	}
	return all
}

// fail reports the first failure to whoever waits for the crowd.
func (c *crowd) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// whole returns an error when a connection was lost, or whoever holds some.
func (c *crowd) whole() error {
	select {
	case err := <-c.failed:
		if lost := c.lost.Load(); lost > 0 {
			return fmt.Errorf("%d connections lost: %w", lost, err)
		}
		return err
	default:
		return nil
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
	for _, a := range c.agents {
		times = append(times, a.threadTimes()...)
	}
	return times
}

// close ends the receivers, then every connection with an ordinary FIN.
func (c *crowd) close() {
	for _, r := range c.receivers {
		r.stop()
	}
	c.running.Wait()
	for _, a := range c.agents {
		a.dismiss()
	}
	for i := range c.members {
		if fd := c.members[i].fd; fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, r := range c.receivers {
		r.release()
	}
}
