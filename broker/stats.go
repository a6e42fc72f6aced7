package broker

import (
	"errors"
	"sync/atomic"
)

// Reasons why a received publication is not delivered.
const (
	dropBusy    = "channel_busy" // the channel has too much undelivered, and the backlog is full
	dropTooBig  = "too_big"      // larger than Config.MaxContent
	dropNotUTF8 = "not_utf8"     // a text message may not hold it
	dropHead    = "bad_head"     // its head cannot be read
)

// tally is counters by name.
type tally map[string]*atomic.Uint64

func newTally(names ...string) tally {
	t := tally{}
	for _, name := range names {
		t[name] = new(atomic.Uint64)
	}
	return t
}

func (t tally) read() map[string]uint64 {
	out := make(map[string]uint64, len(t))
	for name, n := range t {
		out[name] = n.Load()
	}
	return out
}

// counts are the counters of a Remote.
type counts struct {
	outcomes, dropped                    tally
	received, opened, failedOpens, ended atomic.Uint64
}

// outcome counts the result of a publication.
func (c *counts) outcome(err error) {
	outcome := "refused"
	switch {
	case err == nil:
		outcome = "ok"
	case errors.Is(err, ErrUnknown):
		outcome = "unknown"
	case errors.Is(err, ErrDown), errors.Is(err, ErrClosed):
		outcome = "down"
	}
	c.outcomes[outcome].Add(1)
}

// Stats is the state of a broker with an engine, and what it has counted.
type Stats struct {
	Up               bool
	Subscriptions    int               // channels subscribed to, or to be subscribed to
	Pending          int               // of those, how many the engine has not confirmed
	Waiting          int               // publications that wait for the engine
	WaitingBytes     int               // and their bytes
	BacklogBytes     int               // bytes received that wait for room in their channel
	Publications     map[string]uint64 // by result: ok, down, unknown, refused
	Received         uint64            // publications that the engine sent
	Dropped          map[string]uint64 // of those, by reason: channel_busy, too_big, not_utf8, bad_head
	Connects         uint64            // links opened
	FailedConnects   uint64            // attempts to open one that failed
	SubscriptionEnds uint64            // subscriptions that the engine refused or ended
}

// Stats may be called from any goroutine.
func (r *Remote) Stats() Stats {
	c := &r.counts
	st := Stats{
		Up: r.Up(), BacklogBytes: r.backlog.size(), Publications: c.outcomes.read(), Received: c.received.Load(), Dropped: c.dropped.read(),
		Connects: c.opened.Load(), FailedConnects: c.failedOpens.Load(), SubscriptionEnds: c.ended.Load(),
	}
	st.Subscriptions, st.Pending = r.table.count()
	st.Waiting, st.WaitingBytes = r.outbox.size()
	return st
}
