package broker

import (
	"errors"
	"sort"
	"sync/atomic"
	"time"
)

// dropReason says why a publication that was received is not delivered.
type dropReason uint8

const (
	dropBusy    dropReason = iota // its channel has too much undelivered, and the buffer is full
	dropTooBig                    // it is larger than Config.MaxContent
	dropNotUTF8                   // no text message may hold it
	numDropReasons
)

var dropNames = [numDropReasons]string{"channel_busy", "too_big", "not_utf8"}

// String returns the reason as metrics have it.
func (d dropReason) String() string { return dropNames[d] }

// Outcomes of a publication.
const (
	outcomeOK = iota
	outcomeDown
	outcomeUnknown
	outcomeRefused
	numOutcomes
)

var outcomeNames = [numOutcomes]string{"ok", "down", "unknown", "refused"}

// durationBounds are the upper bounds of a Histogram, in seconds.
var durationBounds = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// Histogram is durations by size. Counts[i] is how many took at most Bounds[i]
// seconds and more than the bound before; the last of Counts has no bound.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64 // seconds
}

// histogram is a Histogram in the making. Its methods may be called from any goroutine.
type histogram struct {
	counts [len(durationBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	h.counts[sort.SearchFloat64s(durationBounds[:], d.Seconds())].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) read() Histogram {
	out := Histogram{Bounds: durationBounds[:], Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load()).Seconds()}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}

// counts is what a Remote has counted.
type counts struct {
	outcomes    [numOutcomes]atomic.Uint64
	publishing  histogram
	received    atomic.Uint64
	dropped     [numDropReasons]atomic.Uint64
	opened      atomic.Uint64
	failedOpens atomic.Uint64
	ended       atomic.Uint64
}

// outcome counts what became of a publication, and how long it took.
func (c *counts) outcome(err error, took time.Duration) {
	switch {
	case err == nil:
		c.outcomes[outcomeOK].Add(1)
		c.publishing.observe(took)
	case errors.Is(err, ErrUnknown):
		c.outcomes[outcomeUnknown].Add(1)
	case errors.Is(err, ErrDown), errors.Is(err, ErrClosed):
		c.outcomes[outcomeDown].Add(1)
	default:
		c.outcomes[outcomeRefused].Add(1)
	}
}

// Stats is what a broker with an engine does and has done.
type Stats struct {
	Up               bool
	Subscriptions    int               // channels subscribed to, or to be
	Pending          int               // of those, how many the engine has not confirmed
	Waiting          int               // publications that wait for the engine
	WaitingBytes     int               // and their size
	BacklogBytes     int               // received, and waiting for room in their channel
	BacklogChannels  int               // how many channels those are
	Publications     map[string]uint64 // by result: ok, down, unknown, refused
	PublishDuration  Histogram         // from Publish to the engine's answer
	Received         uint64            // publications that the engine sent
	Dropped          map[string]uint64 // of those, by reason: channel_busy, too_big, not_utf8
	Connects         uint64            // links opened
	FailedConnects   uint64            // attempts to open one that failed
	SubscriptionEnds uint64            // subscriptions that the engine refused or ended
}

// Stats may be called from any goroutine.
func (r *Remote) Stats() Stats {
	st := Stats{
		Up: r.Up(), Publications: map[string]uint64{}, Dropped: map[string]uint64{},
		PublishDuration: r.counts.publishing.read(), Received: r.counts.received.Load(),
		Connects: r.counts.opened.Load(), FailedConnects: r.counts.failedOpens.Load(), SubscriptionEnds: r.counts.ended.Load(),
	}
	st.Subscriptions, st.Pending = r.table.count()
	st.Waiting, st.WaitingBytes = r.outbox.depth()
	st.BacklogBytes, st.BacklogChannels = r.backlog.size()
	for i, name := range outcomeNames {
		st.Publications[name] = r.counts.outcomes[i].Load()
	}
	for i, name := range dropNames {
		st.Dropped[name] = r.counts.dropped[i].Load()
	}
	return st
}
