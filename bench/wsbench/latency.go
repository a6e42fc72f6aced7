//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a latency may be; what took longer is counted as this.
const longest = 10 * time.Minute

// latencies counts how long things took, to three digits. One goroutine writes to
// it at a time.
type latencies struct {
	counts *hdrhistogram.Histogram
	strain *strain // while they were counted; nil when nobody looked
}

func newLatencies() *latencies {
	return &latencies{counts: hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)}
}

// record counts one latency in nanoseconds.
func (l *latencies) record(ns int64) {
	_ = l.counts.RecordValue(min(max(ns, 0), int64(longest))) // in range, so there is no error
}

// merge adds what another counted.
func (l *latencies) merge(other *latencies) { l.counts.Merge(other.counts) }

func (l *latencies) count() int64 { return l.counts.TotalCount() }

// us returns the latency in microseconds that a share of p of all did not exceed.
func (l *latencies) us(p float64) float64 {
	return float64(l.counts.ValueAtPercentile(p*100)) / 1e3
}

func (l *latencies) max() float64 { return float64(l.counts.Max()) / 1e3 }

// percentiles are the figures made of latencies. The last, 1, is the maximum.
var percentiles = []struct {
	name string
	p    float64
}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}}

// latencySeries collects the percentiles of each round.
type latencySeries struct {
	samples [4][]float64 // as percentiles
	count   int64
	strains []strain // of each round
}

func (s *latencySeries) add(l *latencies) {
	if l.count() == 0 {
		return
	}
	s.count += l.count()
	if l.strain != nil {
		s.strains = append(s.strains, *l.strain)
	}
	for i, p := range percentiles {
		value := l.us(p.p)
		if p.p == 1 {
			value = l.max()
		}
		s.samples[i] = append(s.samples[i], value)
	}
}

// addLatencies records the percentiles as figures of a server.
func (r *record) addLatencies(server, name string, s latencySeries) {
	if s.count == 0 {
		r.remark("%s, %s: no latency was measured", server, name)
		return
	}
	for i, p := range percentiles {
		r.add(server, fmt.Sprintf("%s: %s", name, p.name), "us", "", s.samples[i]...)
	}
	r.detail(server, name+": count", "", float64(s.count))
	if len(s.strains) > 0 {
		r.addStrain(server, name, s.strains)
	}
}
