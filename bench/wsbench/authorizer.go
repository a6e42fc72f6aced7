//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

const (
	slowSettle     = 500 * time.Millisecond // until the slow joins are on their way
	probeEvery     = 10 * time.Millisecond  // between two round trips of one probe
	hangingTimeout = time.Second            // of the server, for a webhook that never answers
	endingsTimeout = 30 * time.Second       // until all are closed whose authorizer is down
	calmTimeout    = 10 * time.Second       // until nothing is asked any more, once those that asked are gone
	tryAgainLater  = 1013                   // close code: the authorizer is down
)

// authorizer measures the latency of some connections while others wait for an
// authorizer that takes its time, fails, or never answers.
func (b *bench) authorizer() error {
	for _, c := range b.contenders[1:] {
		b.record.remark("%s: has no -authorizer-url, only %s is measured", c.name, b.tree().name)
	}
	h, err := openWebhook(mood{status: 200})
	if err != nil {
		return err
	}
	defer h.close()
	b.progress.expect((4 + len(b.latencies())) * b.authorizerRounds)
	longest := 5 * time.Second
	for _, d := range b.latencies() {
		longest = max(longest, 2*d)
	}
	for range b.authorizerRounds {
		if err := b.authorizerWith(h, longest, b.answeringMoods()); err != nil {
			return err
		}
		if err := b.authorizerWith(h, hangingTimeout, []askerMood{{words: "hang", about: "hanging"}}); err != nil {
			return err
		}
	}
	return nil
}

// askerMood is a webhook's mood and what joins do under it.
type askerMood struct {
	mood
	words string // "take 1s"
	about string // of the webhook, "1000 ms"
}

// answers reports whether joins are allowed at last.
func (m askerMood) answers() bool { return m.status == 200 }

// answeringMoods are those in which the webhook answers.
func (b *bench) answeringMoods() []askerMood {
	var all []askerMood
	for _, d := range b.latencies() {
		all = append(all, askerMood{mood{latency: d, status: 200}, "take " + d.String(), fmt.Sprintf("%d ms", d.Milliseconds())})
	}
	return append(all, askerMood{mood{status: 500}, "fail", "failing"})
}

// authorizerWith measures on a server of its own how others do alone, and beside each mood.
func (b *bench) authorizerWith(h *webhook, timeout time.Duration, moods []askerMood) error {
	s, err := b.start(b.tree(), "-authorizer-url", h.url, "-authorizer-events", "join", "-authorizer-timeout", timeout.String())
	if err != nil {
		return err
	}
	defer s.kill()
	p, err := b.openEcho(s, b.probes)
	if err != nil {
		return s.failure(fmt.Errorf("probes: %w", err))
	}
	defer p.crowd.close()
	b.step("%d probes alone", b.probes)
	if err := b.probe(s, p, "alone", b.authorizerTime); err != nil {
		return s.failure(err)
	}
	for _, m := range moods {
		beside := fmt.Sprintf("beside %d joins that %s", b.slowConnections, m.words)
		b.step("%d probes %s", b.probes, beside)
		if err := b.besideAskers(s, h, p, m, beside); err != nil {
			return s.failure(fmt.Errorf("%s: %w", beside, err))
		}
	}
	return nil
}

// besideAskers probes while other connections ask, and leaves nothing asked behind.
func (b *bench) besideAskers(s *server, h *webhook, p *exchange, m askerMood, beside string) error {
	h.mood.Store(&m.mood)
	a, err := openAskers(b, s)
	if err != nil {
		return err
	}
	err = b.probeBeside(s, h, p, a, m, beside)
	a.crowd.close()
	return errors.Join(err, h.calm(m.latency+calmTimeout))
}

func (b *bench) probeBeside(s *server, h *webhook, p *exchange, a *askers, m askerMood, beside string) error {
	start := time.Now()
	a.start()
	if m.answers() {
		time.Sleep(slowSettle) // where nobody is let in, the ends begin at once and are a part of it
	}
	h.most.Store(h.pending.Load())
	used, err := b.watchCores(s.pid(), p.crowd, a.crowd)
	if err != nil {
		return err
	}
	joined, since := a.joined.Load(), time.Now()
	if err := b.probe(s, p, beside, b.authorizerTime); err != nil {
		return err
	}
	rate := float64(a.joined.Load()-joined) / time.Since(since).Seconds()
	if err := used.add(s.name, "webhook "+m.about, "joins"); err != nil {
		return err
	}
	b.record.detail(s.name, "authorizer calls at once, most, webhook "+m.about, "calls", float64(h.most.Load()))
	if !m.answers() {
		b.addEndings(s, a, m, start)
		return nil
	}
	b.record.add(s.name, "joined, webhook "+m.about, "joined/s", "", rate)
	if n := a.ends.count(); n > 0 {
		b.record.remark("webhook %s: the server closed %d of %d connections (%s)", m.about, n, b.slowConnections, &a.ends)
	}
	return nil
}

// addEndings tells what became of the connections that nobody let in.
func (b *bench) addEndings(s *server, a *askers, m askerMood, start time.Time) {
	ended := a.ends.await(b.slowConnections, endingsTimeout)
	b.record.add(s.name, "closed with 1013, webhook "+m.about, "connections", "", float64(a.ends.of(tryAgainLater)))
	switch {
	case !ended:
		b.record.remark("webhook %s: %d of %d connections were still open after %v", m.about,
			b.slowConnections-a.ends.count(), b.slowConnections, time.Since(start).Round(time.Second))
	case a.ends.of(tryAgainLater) < b.slowConnections:
		b.record.remark("webhook %s: the server closed %s", m.about, &a.ends)
	}
	if ended {
		b.record.add(s.name, "until all were closed, webhook "+m.about, "s", "", a.ends.last().Sub(start).Seconds())
	}
}

// probe measures the latency of others: paced round trips, a probe every probeEvery.
func (b *bench) probe(s *server, p *exchange, when string, length time.Duration) error {
	took, err := p.pacedTrips(float64(len(p.crowd.members))/probeEvery.Seconds(), length)
	if err != nil {
		return fmt.Errorf("probes %s: %w", when, err)
	}
	var series latencySeries
	series.add(took)
	b.record.addLatencies(s.name, "others "+when, series)
	return nil
}
