//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// millionOptions are the settings of scenario million.
type millionOptions struct {
	few          int           // connections that a delivery is first measured with
	publications int           // to everybody
	idle         time.Duration // without load, but for pings
	ping         time.Duration // the server's interval
	limit        time.Duration // of each phase, and of the server's shutdown
	nice         int           // of the server
}

func (o *millionOptions) register(set *flag.FlagSet) {
	set.IntVar(&o.few, "million-few", 10000, "million: connections that the cost of a delivery is compared with")
	set.IntVar(&o.publications, "million-publications", 3, "million: publications to everybody")
	set.DurationVar(&o.idle, "million-idle", time.Minute, "million: length of the idle phase")
	set.DurationVar(&o.ping, "million-ping", 10*time.Minute, "million: ping interval of the server")
	set.IntVar(&o.nice, "million-nice", 0, "million: niceness of the server, so that on few cores the clients read what it sends before it sends more")
	set.DurationVar(&o.limit, "million-limit", 20*time.Minute, "million: give up when one phase takes so long")
}

// fewPublications are given before everybody is there.
const fewPublications = 20

// throng is one run of the scenario: one server, and everybody.
type throng struct {
	*bench
	server *server
	crowd  *crowd
	roll   *roll
	ends   endings
	ending atomic.Bool // connections may end now
	gc     collections

	empty     holding
	fewCost   costsOf
	idleCores float64 // of CPU that the server uses for pings alone
}

// holding is what server and kernel hold at one moment.
type holding struct {
	server memory
	kernel kernelMemory
	parts  map[string]int64 // see readParts
}

// million proves that one server holds -connections at once: all joined to one
// channel, pinged, reached by every publication, and told when it stops. What they
// cost is measured on the way.
func (b *bench) million() error {
	to := b.tree()
	t := &throng{bench: b, roll: &roll{bytes: to.dialect.delivered(sharedChannel, b.contentSize)}, gc: make(collections)}
	if err := t.start(); err != nil {
		return err
	}
	defer t.server.kill()
	t.crowd = &crowd{dialect: to.dialect, tolerant: true, message: t.roll.message, ended: t.ended}
	defer t.crowd.close()
	if err := startCrowd(t.crowd, b.connections, b.threads); err != nil {
		return err
	}
	for _, phase := range []func() error{t.before, t.few, t.all, t.atRest, t.idle, t.broadcast, t.drain} {
		if err := phase(); err != nil {
			return t.server.failure(err)
		}
	}
	t.addCollections()
	return nil
}

// start starts the server, whose runtime is to tell of its collections.
func (t *throng) start() (err error) {
	os.Setenv("GODEBUG", "gctrace=1")
	defer os.Unsetenv("GODEBUG")
	t.server, err = t.bench.start(t.tree(), "-ping-interval", t.big.ping.String(), "-pong-timeout", t.big.limit.String(),
		"-handshake-timeout", "1m", "-drain-timeout", t.big.limit.String())
	if err == nil && t.big.nice != 0 {
		err = renice(t.server.pid(), t.big.nice)
	}
	return err
}

// renice makes all threads of a process give way to others; threads to come inherit
// it: setpriority(2). What the server sends to a million sockets and nobody has read
// takes some 5 KB of the kernel's memory each: where clients share its processors,
// they have to come first.
func renice(pid, nice int) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil {
			return os.NewSyscallError("setpriority", err)
		}
	}
	return nil
}

// ended is called by receivers when the server has closed a connection.
func (t *throng) ended(m *member, code uint16) {
	if !t.ending.Load() {
		t.crowd.fail(fmt.Errorf("the server closed a connection with code %d", code))
	}
	answerEnd(m, code)
	t.ends.note(m, code)
}

// before reads memory before anybody is connected.
func (t *throng) before() (err error) {
	t.step("memory before anybody is connected")
	if err := t.warm(t.server, channels{Shared: true}); err != nil {
		return err
	}
	t.empty, err = t.hold()
	return err
}

// hold waits until the server's memory is at rest, and reads it and the kernel's.
func (t *throng) hold() (h holding, err error) {
	if h.server, err = t.rest(t.server.pid(), true); err != nil {
		return h, err
	}
	if h.kernel, err = readKernelMemory(); err != nil {
		return h, err
	}
	h.parts, err = readParts()
	return h, err
}

// fewOf is how many are connected before the rest is.
func (t *throng) fewOf() int { return min(t.big.few, t.connections) }

// few measures a delivery among few.
func (t *throng) few() error {
	n := t.fewOf()
	if err := t.connect(n); err != nil {
		return err
	}
	var err error
	t.fewCost, err = t.publish(n, fewPublications)
	return err
}

// all connects everybody else.
func (t *throng) all() error {
	start, before := time.Now(), t.crowd.opened()
	if err := t.connect(t.connections); err != nil {
		return err
	}
	if n := t.crowd.opened() - before; n > 0 {
		t.record.add(t.server.name, "connect: rate", "joined/s", "", float64(n)/time.Since(start).Seconds())
	}
	t.record.add(t.server.name, "live and joined at once", "connections", "", float64(t.crowd.opened()))
	return nil
}

// atRest measures memory.
func (t *throng) atRest() error {
	t.step("memory of %d connections", t.connections)
	full, err := t.hold()
	if err != nil {
		return err
	}
	own, err := readMemory(os.Getpid())
	if err != nil {
		return err
	}
	r, name := t.record, t.server.name
	t.gc.read(t.server.Said())
	r.detail(name, "garbage collection: CPU of the last one beside everybody", "ms", t.gc.last().cpu)
	r.add(name, "RSS of the server per connection", "B", "<= 200", t.perConnection(full.server.RSS, t.empty.server.RSS))
	r.add(name, "RSS of the server", "MB", "", float64(full.server.RSS)/1e6)
	r.detail(name, "RSS of the server, peak so far", "MB", float64(full.server.Peak)/1e6)
	r.add(name, "kernel memory per connection", "B", "", t.perConnection(full.kernel.total(), t.empty.kernel.total()))
	for _, part := range kernelParts {
		r.detail(name, "kernel memory per connection: "+part, "B", t.perConnection(full.parts[part], t.empty.parts[part]))
	}
	r.detail("", "memory of the machine per connection, programs included", "B", t.perConnection(t.empty.parts[free], full.parts[free]))
	r.detail("", "RSS of the generator per connection", "B", t.perConnection(own.RSS, 0))
	r.remark("kernel memory is that of both ends, which are on one machine: slab, page tables and socket buffers")
	return nil
}

// idle measures what the server spends on pings alone.
func (t *throng) idle() error {
	before := t.crowd.pongs()
	cost, err := meter{pid: t.server.pid(), crowd: t.crowd}.measure(func() error {
		return t.pass(t.big.idle, func() string { return fmt.Sprintf("idle: %d pings answered", t.crowd.pongs()-before) })
	})
	if err != nil {
		return err
	}
	t.idleCores = cost.cpu.Sched.Seconds() / cost.wall.Seconds()
	t.record.add(t.server.name, "CPU while idle", "cores", "", t.idleCores)
	t.record.add(t.server.name, "pings answered while idle", "pings/s", "", float64(t.crowd.pongs()-before)/cost.wall.Seconds())
	t.record.remark("the server pinged every %v; no connection was lost", t.big.ping)
	return nil
}

// broadcast measures publications to everybody.
func (t *throng) broadcast() error {
	before, err := readResent()
	if err != nil {
		return err
	}
	all, err := t.publish(t.connections, t.big.publications)
	if err != nil {
		return err
	}
	after, err := readResent()
	if err != nil {
		return err
	}
	r, name := t.record, t.server.name
	for i, p := range rollPercentiles {
		r.add(name, "one broadcast to all: "+p.name, "s", "", all.took[i]...)
	}
	r.add(name, "deliveries counted", "deliveries", fmt.Sprintf("= %d", t.connections*t.big.publications), float64(all.counted))
	r.add(name, fmt.Sprintf("CPU per delivery, %s connections", thousands(t.fewOf())), "CPU us per delivery", "", t.fewCost.cpu...)
	r.add(name, fmt.Sprintf("CPU per delivery, %s connections", thousands(t.connections)), "CPU us per delivery", "", all.cpu...)
	if few := summarize(t.fewCost.cpu).Median; few > 0 {
		r.add(name, fmt.Sprintf("CPU per delivery over the same at %s", thousands(t.fewOf())), "ratio", "", summarize(all.cpu).Median/few)
	}
	r.detail("", "TCP segments that the kernel sent again in the broadcasts", "segments", float64(after-before))
	r.addGenerator(name, "one broadcast to all", all.busiest)
	r.remark("CPU per delivery is without the %s cores that the pings of the time cost", show(t.idleCores))
	return nil
}

// drain stops the server: everybody is to be told, and the server to end well.
func (t *throng) drain() error {
	t.ending.Store(true)
	start := time.Now()
	if err := t.server.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := t.await(func() bool { return t.ends.count() == t.connections && gone(t.server.child) }, func() string {
		return fmt.Sprintf("drain: %d closed with %d, %d left", t.ends.of(restart), restart, t.connections-t.ends.count())
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	if t.server.Status() != nil {
		return fmt.Errorf("the server ended with %w", t.server.Status())
	}
	told := t.ends.of(restart)
	r, name := t.record, t.server.name
	r.add(name, "drain", "s", "", took.Seconds())
	r.detail(name, "drain, until all were closed", "s", t.ends.last().Sub(start).Seconds())
	r.add(name, "closed with 1012", "connections", fmt.Sprintf("= %d", t.connections), float64(told))
	if told != t.connections {
		return fmt.Errorf("%d of %d connections were closed with %d", told, t.connections, restart)
	}
	return nil
}

// Pace of waiting.
const (
	awaitStep = 20 * time.Millisecond
	awaitTell = 10 * time.Second
)

// await waits until done, and tells how far things are meanwhile.
func (t *throng) await(done func() bool, line func() string) error {
	over, err := t.wait(t.big.limit, done, line)
	if err == nil && !over {
		err = fmt.Errorf("%s after %v", line(), t.big.limit)
	}
	return err
}

// pass lets time go by.
func (t *throng) pass(d time.Duration, line func() string) error {
	_, err := t.wait(d, func() bool { return false }, line)
	return err
}

// wait waits until done or for d. It reports whether it was done, or why neither
// makes sense any more.
func (t *throng) wait(d time.Duration, done func() bool, line func() string) (bool, error) {
	start := time.Now()
	tell := start.Add(awaitTell)
	for !done() {
		now := time.Now()
		if now.Sub(start) >= d {
			return false, nil
		}
		if now.After(tell) {
			t.step("%s", line())
			tell = now.Add(awaitTell)
			t.gc.read(t.server.Said())
		}
		select {
		case err := <-t.crowd.failed:
			return false, err
		case <-time.After(awaitStep):
		}
		if !t.ending.Load() && gone(t.server.child) {
			return false, errors.New("the server is gone")
		}
	}
	return true, nil
}

// gone reports whether a child has ended.
func gone(c *child) bool {
	select {
	case <-c.Gone():
		return true
	default:
		return false
	}
}

// thousands writes a number as people do, such as 10,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
