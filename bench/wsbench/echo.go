//go:build linux

package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// echoContent is the bytes of content in a round trip.
const echoContent = 64

// exchange is a crowd in which each member sends a request, waits for a message,
// and starts again; or does so when it is due, while pacing.
type exchange struct {
	crowd    *crowd
	size     int // bytes of the message that answers; 0 for any
	stopping atomic.Bool
	trips    atomic.Int64
	active   atomic.Int64
	ended    chan struct{} // when the last member has its answer after stop

	beside *crowd  // that hears of the requests; nil for nobody
	window *window // what may be sent and not heard yet; nil for no bound

	pacing atomic.Bool
	period int64 // nanoseconds between two trips of one member, while pacing
}

// openExchange opens a crowd for round trips; p.request is required.
func openExchange(p plan, size int) (*exchange, error) {
	x := &exchange{size: size, ended: make(chan struct{}, 1)}
	p.message = x.message
	if p.posts {
		p.raw = x.posted
	}
	c, err := openCrowd(p)
	if err != nil {
		return nil, err
	}
	x.crowd = c
	return x, nil
}

// message ends one round trip and starts the next. It is called by receivers.
func (x *exchange) message(m *member, e event) {
	if x.size != 0 && e.size != x.size {
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", e.size, x.size))
		return
	}
	if x.pacing.Load() {
		x.answered(m)
		return
	}
	x.trips.Add(1)
	m.at.took.record(now() - m.sent.Load())
	if x.stopping.Load() {
		x.leave()
		return
	}
	x.send(m)
}

func (x *exchange) leave() {
	if x.active.Add(-1) == 0 {
		x.ended <- struct{}{}
	}
}

// send starts a round trip. Requests are small and one at a time, so they fit.
func (x *exchange) send(m *member) {
	if x.window == nil || x.window.enter(m) {
		x.sendNow(m)
	}
}

func (x *exchange) sendNow(m *member) {
	m.sent.Store(now())
	if n, errno := sendNow(m.fd, m.request); n != len(m.request) {
		if !m.at.crowd.tolerant {
			m.at.crowd.fail(fmt.Errorf("send took %d of %d bytes: %w", n, len(m.request), errno))
		}
	}
}

// start lets every member send its first request.
func (x *exchange) start() {
	x.stopping.Store(false)
	x.trips.Store(0)
	x.active.Store(int64(len(x.crowd.members)))
	for i := range x.crowd.members {
		x.send(&x.crowd.members[i])
	}
}

// stop lets the requests in flight be answered.
func (x *exchange) stop() error {
	x.stopping.Store(true)
	return x.crowd.wait(x.ended, 1, deliveryTimeout)
}

// exchangeFor makes round trips for a time and returns with none in flight.
func (x *exchange) exchangeFor(d time.Duration) error {
	x.start()
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-pause.C:
	case err := <-x.crowd.failed:
		return err
	}
	return x.stop()
}

// echoRequest is what a member broadcasts to its own channel.
func echoRequest(d *dialect) func(i int) []byte {
	return func(i int) []byte { return clientFrame(opText, d.broadcast(ownChannel(i), text(echoContent))) }
}

// echo measures what a JSON round trip costs, contenders and floor in turn, with
// many connections and with one.
func (b *bench) echo() error {
	sizes := []int{b.echoConnections}
	if b.echoConnections != 1 {
		sizes = append(sizes, 1)
	}
	b.progress.expect(len(sizes) * b.rounds)
	in := b.lineUp()
	for _, size := range sizes {
		if err := b.echoOf(size, in); err != nil {
			return fmt.Errorf("%d connections: %w", size, err)
		}
	}
	return nil
}

func (b *bench) echoOf(size int, in *lineup) error {
	if err := in.start(); err != nil {
		return err
	}
	defer in.close()
	r := &echoRun{size: size, in: in, sides: make(map[string]*echoSide)}
	defer r.close()
	for _, threads := range b.floorSizes() {
		if err := b.addEchoFloor(r, threads); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
	}
	for _, c := range in.turns(0) {
		s := in.fleet[c.name]
		x, err := b.openEcho(s, size)
		if err == nil {
			r.sides[c.name] = &echoSide{s.child, x}
		}
		if err := in.judge(c.name, err); err != nil {
			return err
		}
	}
	return b.echoRounds(r)
}

// echoRun is everybody who takes part in one echo. The floors come last in a round.
type echoRun struct {
	size   int
	in     *lineup
	floors []string
	sides  map[string]*echoSide
}

type echoSide struct {
	process *child
	*exchange
}

func (r *echoRun) close() {
	for _, s := range r.sides {
		s.crowd.close()
	}
	for _, name := range r.floors {
		r.sides[name].process.kill()
	}
}

// floorSizes are the threads of the floors: one, the least that a round trip can
// cost; and as many as -floor-threads says, which a server with as many loops is to
// be compared with.
func (b *bench) floorSizes() []int {
	if b.role.threads == 1 {
		return []int{1}
	}
	return []int{1, b.role.threads}
}

func floorOf(threads int) string {
	if threads == 1 {
		return floorName
	}
	return fmt.Sprintf("%s of %d threads", floorName, threads)
}

func (b *bench) addEchoFloor(r *echoRun, threads int) error {
	request := echoRequest(wsifyDialect)
	f, err := b.startFloor(roleOptions{role: "floor-echo", threads: threads, in: len(request(0)), out: serverFrameSize(echoContent)})
	if err != nil {
		return err
	}
	x, err := openExchange(plan{size: r.size, threads: b.threads, sources: b.sources, target: f.target(), request: request}, echoContent)
	if err != nil {
		err = f.failure(err)
		f.kill()
		return err
	}
	r.floors = append(r.floors, floorOf(threads))
	r.sides[floorOf(threads)] = &echoSide{f.child, x}
	return nil
}

// openEcho opens connections that each broadcast to a channel of their own.
func (b *bench) openEcho(s *server, size int) (*exchange, error) {
	return openExchange(plan{size: size, threads: b.threads, target: s.target(), sources: b.sources,
		channels: channels{Own: 1}, request: echoRequest(s.dialect)}, s.dialect.delivered(ownChannel(0), echoContent))
}

func (b *bench) echoRounds(r *echoRun) error {
	measured := make(table)
	for round := range b.rounds {
		b.step("round %d of %d: %d connections", round+1, b.rounds, r.size)
		phase := func(name string) error {
			side := r.sides[name]
			return b.echoPhase(side.exchange, side.process.pid(), r.size > 1, measured.of(name))
		}
		for _, c := range r.in.turns(round) {
			if err := r.in.judge(c.name, phase(c.name)); err != nil {
				return err
			}
		}
		for _, name := range r.floors {
			if err := phase(name); err != nil {
				return r.sides[name].process.failure(fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	b.addEcho(r, measured)
	return nil
}

func (b *bench) addEcho(r *echoRun, measured table) {
	what := fmt.Sprintf("%d connections", r.size)
	if r.size == 1 {
		what = "1 connection"
	}
	names := costNames{what: what, unit: "round trip", rate: "round trips/s", floorGoal: "<= 1.3"}
	b.addCosts(measured, names)
	for _, wide := range r.floors[1:] {
		b.record.add(wide, "CPU, "+what, "CPU us per round trip", "", measured[wide].sched...)
		for _, name := range b.names() {
			b.record.add(name, "over "+wide+", "+what, "ratio", "", ratios(measured.of(name).sched, measured[wide].sched)...)
		}
		b.addChecks(wide, measured[wide], names)
	}
	if r.size == 1 {
		return
	}
	for _, name := range append(append([]string(nil), r.floors...), b.names()...) {
		b.record.addLatencies(name, "paced", measured.of(name).latency)
	}
	b.record.remark("paced: %s round trips a second, latency from when each was due", show(b.tripRate))
}

// echoPhase warms up for a tenth of the time, then measures: as many as can be made,
// and at a steady rate.
func (b *bench) echoPhase(x *exchange, pid int, paced bool, measured *costs) error {
	if err := x.exchangeFor(b.echoTime / 10); err != nil {
		return err
	}
	if paced {
		took, err := x.pacedTrips(b.tripRate, b.echoTime)
		if err != nil {
			return err
		}
		measured.latency.add(took)
	}
	cost, err := meter{pid: pid, crowd: x.crowd}.measure(func() error { return x.exchangeFor(b.echoTime) })
	if err != nil {
		return err
	}
	measured.add(int(x.trips.Load()), cost)
	return nil
}
