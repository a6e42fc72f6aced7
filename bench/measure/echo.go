//go:build linux

package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// echoContent is the bytes of content in a round trip.
const echoContent = 64

// exchange is a crowd in which each member sends a request, waits for a message,
// and starts again.
type exchange struct {
	crowd    *crowd
	size     int // bytes of the message that answers; 0 for any
	stopping atomic.Bool
	trips    atomic.Int64
	active   atomic.Int64
	ended    chan struct{} // when the last member has its answer after stop

	mu   sync.Mutex
	took []int64 // nanoseconds of each round trip, while keep is set
	keep bool
}

// openExchange opens a crowd for round trips; p.request is required.
func openExchange(p plan, size int) (*exchange, error) {
	x := &exchange{size: size, ended: make(chan struct{}, 1)}
	p.message = x.message
	c, err := openCrowd(p)
	if err != nil {
		return nil, err
	}
	x.crowd = c
	return x, nil
}

// message ends one round trip and starts the next. It is called by receivers.
func (x *exchange) message(m *member, size int) {
	if x.size != 0 && size != x.size {
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", size, x.size))
		return
	}
	x.trips.Add(1)
	x.remember(now() - m.sent.Load())
	if x.stopping.Load() {
		x.leave()
		return
	}
	x.send(m)
}

func (x *exchange) remember(took int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.keep {
		x.took = append(x.took, took)
	}
}

func (x *exchange) leave() {
	if x.active.Add(-1) == 0 {
		x.ended <- struct{}{}
	}
}

// send starts a round trip. Requests are small and one at a time, so they fit.
func (x *exchange) send(m *member) {
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

// record starts or ends keeping latencies; it returns those kept so far, in order.
func (x *exchange) record(keep bool) []int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	took := x.took
	x.took, x.keep = make([]int64, 0, 1<<20), keep
	slices.Sort(took)
	return took
}

// echoSeries collects the samples of one side of an echo.
type echoSeries struct {
	cpu, stat, rate, p50, p99, busiest []float64
}

func (s *echoSeries) add(x *exchange, p spent) {
	trips, took := float64(x.trips.Load()), x.record(false)
	s.cpu = append(s.cpu, micro(p.cpu.Sched)/trips)
	s.stat = append(s.stat, micro(p.cpu.Stat)/trips)
	s.rate = append(s.rate, trips/p.wall.Seconds())
	s.p50 = append(s.p50, float64(percentile(took, 0.5))/1e3)
	s.p99 = append(s.p99, float64(percentile(took, 0.99))/1e3)
	s.busiest = append(s.busiest, p.busiest)
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// echoRequest is what a member broadcasts to its own channel.
func echoRequest(i int) []byte {
	return clientFrame(opText, fmt.Appendf(nil, `{"command":"broadcast","args":{"channel":%q,"content":%s}}`, ownChannel(i), text(echoContent)))
}

// echo measures what a JSON round trip costs, server and floor in turn, with many
// connections and with one.
func (b *bench) echo() error {
	sizes := []int{b.echoConnections}
	if b.echoConnections != 1 {
		sizes = append(sizes, 1)
	}
	for _, size := range sizes {
		if err := b.echoOf(size); err != nil {
			return fmt.Errorf("%d connections: %w", size, err)
		}
	}
	return nil
}

func (b *bench) echoOf(size int) error {
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.kill()
	f, err := b.startFloor(roleOptions{role: "floor-echo", threads: b.role.threads, in: len(echoRequest(0)), out: serverFrameSize(echoContent)})
	if err != nil {
		return err
	}
	defer f.kill()
	p := plan{size: size, threads: b.threads, target: f.target(), sources: b.sources, request: echoRequest}
	bare, err := openExchange(p, echoContent)
	if err != nil {
		return f.failure(fmt.Errorf("floor: %w", err))
	}
	defer bare.crowd.close()
	p.target, p.channel = s.target(), ownChannel
	full, err := openExchange(p, echoContent)
	if err != nil {
		return s.failure(err)
	}
	defer full.crowd.close()
	return b.echoRounds(size, full, s, bare, f)
}

func (b *bench) echoRounds(size int, full *exchange, s *server, bare *exchange, f *floor) error {
	var measured, floor echoSeries
	for round := range b.rounds {
		b.step("round %d of %d: %d connections", round+1, b.rounds, size)
		if err := b.echoPhase(full, s.pid(), &measured); err != nil {
			return s.failure(err)
		}
		if err := b.echoPhase(bare, f.pid(), &floor); err != nil {
			return f.failure(fmt.Errorf("floor: %w", err))
		}
	}
	name := fmt.Sprintf("%d connections", size)
	if size == 1 {
		name = "1 connection"
	}
	b.addEcho(name, measured, floor)
	return nil
}

// echoPhase warms up for a tenth of the time, then measures.
func (b *bench) echoPhase(x *exchange, pid int, measured *echoSeries) error {
	if err := x.exchangeFor(b.echoTime / 10); err != nil {
		return err
	}
	x.record(true)
	cost, err := meter{pid: pid, crowd: x.crowd}.measure(func() error { return x.exchangeFor(b.echoTime) })
	if err != nil {
		return err
	}
	measured.add(x, cost)
	return nil
}

func (b *bench) addEcho(name string, measured, floor echoSeries) {
	const unit = "CPU us per round trip"
	r := b.record
	r.add("floor, "+name, unit, "", floor.cpu...)
	r.add("server, "+name, unit, "", measured.cpu...)
	r.add("server over floor, "+name, "ratio", "<= 1.3", ratios(measured.cpu, floor.cpu)...)
	r.add("floor, "+name+", by utime+stime", unit, "", floor.stat...)
	r.add("server, "+name+", by utime+stime", unit, "", measured.stat...)
	for _, side := range []struct {
		name string
		echoSeries
	}{{"floor, " + name, floor}, {"server, " + name, measured}} {
		r.add(side.name+", rate", "round trips/s", "", side.rate...)
		r.add(side.name+", p50", "us", "", side.p50...)
		r.add(side.name+", p99", "us", "", side.p99...)
		b.addGenerator(side.name, side.busiest)
	}
}
