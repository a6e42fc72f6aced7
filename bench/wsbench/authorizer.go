//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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

// authorizer measures the latency of some connections while others wait for an
// authorizer that takes a second for each.
func (b *bench) authorizer() error {
	h, err := openWebhook()
	if err != nil {
		return err
	}
	defer h.close()
	s, err := b.start(b.tree(), "-authorizer-url", h.url, "-authorizer-events", "join")
	if err != nil {
		return err
	}
	defer s.kill()
	return s.failure(b.authorizerOn(s, h))
}

func (b *bench) authorizerOn(s *server, h *webhook) error {
	p, err := b.openEcho(s, b.probes)
	if err != nil {
		return fmt.Errorf("probes: %w", err)
	}
	defer p.crowd.close()
	b.progress.expect(2)
	b.step("%d probes alone", b.probes)
	if err := b.probe(s, p, "alone"); err != nil {
		return err
	}
	slow, err := openSlow(b, s)
	if err != nil {
		return fmt.Errorf("slow connections: %w", err)
	}
	defer slow.crowd.close()
	beside := fmt.Sprintf("beside %d pending joins", b.slowConnections)
	b.step("%d probes %s", b.probes, beside)
	slow.start()
	time.Sleep(slowSettle)
	h.most.Store(h.pending.Load())
	answered := h.slow.Load()
	if err := b.probe(s, p, beside); err != nil {
		return err
	}
	b.record.add(s.name, "authorizer calls at once, most", "calls", "", float64(h.most.Load()))
	b.record.add(s.name, "slow joins answered meanwhile", "joins", "", float64(h.slow.Load()-answered))
	b.record.add(s.name, "slow connections the server closed", "connections", "", float64(slow.crowd.lost.Load()))
	return nil
}

// probe measures the latency of others: paced round trips, a probe every probeEvery.
func (b *bench) probe(s *server, p *exchange, when string) error {
	took, err := p.pacedTrips(float64(len(p.crowd.members))/probeEvery.Seconds(), b.authorizerTime)
	if err != nil {
		return fmt.Errorf("probes %s: %w", when, err)
	}
	var series latencySeries
	series.add(took)
	b.record.addLatencies(s.name, "others "+when, series)
	return nil
}

// openSlow opens connections that join a slow channel again as soon as they are
// answered, so that all of them are always waiting.
func openSlow(b *bench, s *server) (*exchange, error) {
	return openExchange(plan{size: b.slowConnections, threads: 1, target: s.target(), sources: b.sources, tolerant: true,
		request: func(i int) []byte {
			return clientFrame(opText, s.dialect.join(fmt.Sprintf("%s%05d", slowPrefix, i)))
		}}, 0)
}
