//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	slowPrefix = "slow-"                // of channels whose join takes slowTime to be allowed
	slowTime   = time.Second            // that the authorizer takes for one of them
	slowSettle = 500 * time.Millisecond // until the slow joins are on their way
	probeEvery = 10 * time.Millisecond  // between two round trips of one probe
)

// webhook is an authorizer that allows everything, some of it late.
type webhook struct {
	server  http.Server
	url     string
	pending atomic.Int64 // calls being answered
	most    atomic.Int64 // the highest pending seen
	slow    atomic.Int64 // slow calls answered
	serving sync.WaitGroup
}

func openWebhook() (*webhook, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &webhook{url: fmt.Sprintf("http://%s/", l.Addr())}
	h.server.Handler = h
	h.serving.Go(func() { h.server.Serve(l) })
	return h, nil
}

func (h *webhook) close() {
	h.server.Close()
	h.serving.Wait()
}

// ServeHTTP answers 200, to a join of a slow channel after slowTime.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Args struct {
			Channel string `json:"channel"`
		} `json:"args"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n := h.pending.Add(1)
	defer h.pending.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	if !strings.HasPrefix(asked.Args.Channel, slowPrefix) {
		return
	}
	select {
	case <-time.After(slowTime):
		h.slow.Add(1)
	case <-r.Context().Done():
	}
}

// probes are connections that make a round trip every now and then, so that their
// latency is that of the server and not of their own load.
type probes struct {
	*exchange
	skipped int64 // round trips not begun since the one before was not over
}

// probeFor lets each probe make a round trip every probeEvery for a time and
// returns the latencies in order. It keeps its pace by the system's own timers:
// those of the runtime are too coarse once the process is idle.
func (p *probes) probeFor(d time.Duration) ([]int64, error) {
	p.record(true)
	p.skipped = 0
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	members := p.crowd.members
	every := probeEvery.Nanoseconds() / int64(len(members))
	start := now()
	for i := 0; int64(i)*every < d.Nanoseconds(); i++ {
		sleepUntil(start + int64(i)*every)
		p.probe(&members[i%len(members)])
		select {
		case err := <-p.crowd.failed:
			return nil, err
		default:
		}
	}
	return p.finish()
}

// sleepUntil blocks the thread until an instant of now.
func sleepUntil(instant int64) {
	if left := instant - now(); left > 0 {
		pause := unix.NsecToTimespec(left)
		unix.Nanosleep(&pause, nil) // cut short by a signal it is early, which does no harm
	}
}

// probe begins a round trip unless the member is still in one: sent is zero then.
func (p *probes) probe(m *member) {
	if m.sent.Load() != 0 {
		p.skipped++
		return
	}
	p.send(m)
}

// finish waits for what is still in flight.
func (p *probes) finish() ([]int64, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(deliveryTimeout)
	for {
		busy := slices.ContainsFunc(p.pointers(), func(m *member) bool { return m.sent.Load() != 0 })
		if !busy {
			return p.record(false), nil
		}
		select {
		case <-tick.C:
		case err := <-p.crowd.failed:
			return nil, err
		case <-limit:
			return nil, fmt.Errorf("a probe had no answer within %v", deliveryTimeout)
		}
	}
}

func (p *probes) pointers() []*member {
	all := make([]*member, len(p.crowd.members))
	for i := range all {
		all[i] = &p.crowd.members[i]
	}
	return all
}

// authorizer measures the latency of some connections while others wait for an
// authorizer that takes a second for each.
func (b *bench) authorizer() error {
	h, err := openWebhook()
	if err != nil {
		return err
	}
	defer h.close()
	s, err := b.startServer("-authorizer-url", h.url, "-authorizer-events", "join")
	if err != nil {
		return err
	}
	defer s.kill()
	return s.failure(b.authorizerOn(s, h))
}

func (b *bench) authorizerOn(s *server, h *webhook) error {
	base := plan{threads: 1, target: s.target(), sources: b.sources}
	p, err := openProbes(base, b.probes)
	if err != nil {
		return fmt.Errorf("probes: %w", err)
	}
	defer p.crowd.close()
	b.step("%d probes alone", b.probes)
	alone, err := p.probeFor(b.authorizerTime)
	if err != nil {
		return fmt.Errorf("probes alone: %w", err)
	}
	b.addProbes("alone", alone, p.skipped)

	slow, err := openSlow(base, b.slowConnections)
	if err != nil {
		return fmt.Errorf("slow connections: %w", err)
	}
	defer slow.crowd.close()
	b.step("%d probes, %d joins pending", b.probes, b.slowConnections)
	slow.start()
	time.Sleep(slowSettle)
	h.most.Store(h.pending.Load())
	answered := h.slow.Load()
	beside, err := p.probeFor(b.authorizerTime)
	if err != nil {
		return fmt.Errorf("probes beside slow joins: %w", err)
	}
	b.addProbes(fmt.Sprintf("beside %d pending joins", b.slowConnections), beside, p.skipped)
	b.record.add("authorizer calls at once, most", "calls", "", float64(h.most.Load()))
	b.record.add("slow joins answered meanwhile", "joins", "", float64(h.slow.Load()-answered))
	b.record.add("slow connections the server closed", "connections", "", float64(slow.crowd.lost.Load()))
	return nil
}

func openProbes(base plan, n int) (*probes, error) {
	p := &probes{exchange: &exchange{size: echoContent}}
	base.size, base.channel, base.request = n, ownChannel, echoRequest
	base.message = func(m *member, size int) {
		if size != p.size {
			m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", size, p.size))
			return
		}
		p.remember(now() - m.sent.Swap(0))
	}
	c, err := openCrowd(base)
	p.crowd = c
	return p, err
}

// openSlow opens connections that join a slow channel again as soon as they are
// answered, so that all of them are always waiting.
func openSlow(base plan, n int) (*exchange, error) {
	base.size, base.tolerant = n, true
	base.request = func(i int) []byte {
		return clientFrame(opText, joinCommand(fmt.Sprintf("%s%05d", slowPrefix, i)))
	}
	return openExchange(base, 0)
}

func (b *bench) addProbes(when string, took []int64, skipped int64) {
	b.record.add("round trip p50, "+when, "us", "", float64(percentile(took, 0.5))/1e3)
	b.record.add("round trip p99, "+when, "us", "", float64(percentile(took, 0.99))/1e3)
	b.record.add("round trip max, "+when, "us", "", float64(percentile(took, 1))/1e3)
	b.record.add("round trips, "+when, "", "", float64(len(took)))
	if skipped > 0 {
		b.record.remark("%s: %d round trips were not begun since the one before took above %v", when, skipped, probeEvery)
	}
}
