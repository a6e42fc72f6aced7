package broker

import (
	"errors"
	"sync/atomic"
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

// Outcomes of a publication.
const (
	outcomeOK = iota
	outcomeDown
	outcomeUnknown
	outcomeRefused
	numOutcomes
)

var outcomeNames = [numOutcomes]string{"ok", "down", "unknown", "refused"}

// counts is what a Remote has counted.
type counts struct {
	outcomes    [numOutcomes]atomic.Uint64
	received    atomic.Uint64
	dropped     [numDropReasons]atomic.Uint64
	opened      atomic.Uint64
	failedOpens atomic.Uint64
	ended       atomic.Uint64
}

// outcome counts what became of a publication.
func (c *counts) outcome(err error) {
	outcome := outcomeRefused
	switch {
	case err == nil:
		outcome = outcomeOK
	case errors.Is(err, ErrUnknown):
		outcome = outcomeUnknown
	case errors.Is(err, ErrDown), errors.Is(err, ErrClosed):
		outcome = outcomeDown
	}
	c.outcomes[outcome].Add(1)
}

// Stats is what a broker with an engine does and has done.
type Stats struct {
	Up               bool
	Subscriptions    int               // channels subscribed to, or to be
	Pending          int               // of those, how many the engine has not confirmed
	Waiting          int               // publications that wait for the engine
	WaitingBytes     int               // and their size
	BacklogBytes     int               // received, and waiting for room in their channel
	Publications     map[string]uint64 // by result: ok, down, unknown, refused
	Received         uint64            // publications that the engine sent
	Dropped          map[string]uint64 // of those, by reason: channel_busy, too_big, not_utf8
	Connects         uint64            // links opened
	FailedConnects   uint64            // attempts to open one that failed
	SubscriptionEnds uint64            // subscriptions that the engine refused or ended
}

// Stats may be called from any goroutine.
func (r *Remote) Stats() Stats {
	c := &r.counts
	st := Stats{
		Up: r.Up(), BacklogBytes: r.backlog.size(),
		Publications: byName(outcomeNames[:], c.outcomes[:]), Received: c.received.Load(), Dropped: byName(dropNames[:], c.dropped[:]),
		Connects: c.opened.Load(), FailedConnects: c.failedOpens.Load(), SubscriptionEnds: c.ended.Load(),
	}
	st.Subscriptions, st.Pending = r.table.count()
	st.Waiting, st.WaitingBytes = r.outbox.size()
	return st
}

func byName(names []string, counts []atomic.Uint64) map[string]uint64 {
	out := make(map[string]uint64, len(names))
	for i, name := range names {
		out[name] = counts[i].Load()
	}
	return out
}
