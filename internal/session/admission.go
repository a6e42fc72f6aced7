package session

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"wsify/internal/publish"
	"wsify/netpoll"
)

// Limits are the limits on connections and rates. Zero means no limit.
type Limits struct {
	MaxConnections           int // sessions, and upgrades that wait for the authorizer
	MaxConnectionsPerAddress int // of these, those of one client address; an IPv6 address counts by its /64
	AcceptRate               int // upgrades a second; as many may come at once

	CommandRate, CommandBurst int  // commands of one connection, in a second and at once
	DropOverRate              bool // a command over the rate is dropped; otherwise it ends the connection
	PublishRate               int  // publications of one channel in a second; as many may come at once
}

// admission decides which upgrades get a place on this node. It is asked once for each
// upgrade, when the head is judged and before the authorizer is asked. A place is given
// back when the connection has ended, in Closed.
//
// What has no place is bounded otherwise: publications of backends and unfinished heads by
// descriptors and timeouts. Loops use an admission at the same time.
type admission struct {
	limits Limits           // immutable
	on     bool             // an upgrade may be refused; immutable
	counts bool             // places are counted, so each connection has a place to remember; immutable
	now    func() time.Time // immutable
	watch  *memoryWatch     // nil: the memory is not watched
	rate   *rate.Limiter    // nil: no limit; it has a leaf lock of its own
	taken  atomic.Int64     // places
	by     addresses        // places, by address; unused without MaxConnectionsPerAddress
}

// openLimits sets the limits of the node, before its loops run.
func (n *Node) openLimits() {
	now := n.cfg.Now
	if now == nil {
		now = time.Now
	}
	if n.watch.read = n.cfg.Memory; n.watch.read != nil {
		n.admission.watch = &n.watch
	}
	n.admission.open(n.cfg.Limits, now)
	n.commands = commandRate{newBucketRate(n.cfg.CommandRate, n.cfg.CommandBurst, now), n.cfg.DropOverRate}
	n.publications.open(n.cfg.Limits, now)
}

// place is what a connection gives back at its end: 0 is no place, 1 is a place without an
// address, and others are the number of the address's entry, plus 1.
type place uint32

// open sets the limits, before the loops run.
func (a *admission) open(limits Limits, now func() time.Time) {
	a.limits, a.now = limits, now
	a.counts, a.by.most = limits.MaxConnections > 0 || limits.MaxConnectionsPerAddress > 0, limits.MaxConnectionsPerAddress
	if limits.AcceptRate > 0 {
		a.rate = rate.NewLimiter(rate.Limit(limits.AcceptRate), limits.AcceptRate)
	}
	a.on = a.counts || a.rate != nil || a.watch != nil
}

// take returns a place. If there is none, ok is false and why says which limit is reached.
// The rate comes last, so that upgrades that another limit refuses do not use it up. addr
// is the client's, or not valid if it is unknown.
func (a *admission) take(addr netip.Addr) (p place, why rejection, ok bool) {
	if a.watch != nil && a.watch.full.Load() {
		return 0, rejectMemory, false
	}
	if a.counts {
		if !a.reserve() {
			return 0, rejectMaxConnections, false
		}
		p = 1
	}
	if a.by.most > 0 && addr.IsValid() {
		number, ok := a.by.take(addr)
		if !ok {
			a.giveBack(p)
			return 0, rejectAddress, false
		}
		p = place(number + 1)
	}
	if a.rate != nil && !a.rate.AllowN(a.now(), 1) {
		a.giveBack(p)
		return 0, rejectAcceptRate, false
	}
	return p, 0, true
}

// reserve counts a place, unless all are taken. The count never exceeds the limit, not even
// for a moment, so no upgrade is refused while a place is free.
func (a *admission) reserve() bool {
	for {
		n := a.taken.Load()
		if most := a.limits.MaxConnections; most > 0 && n >= int64(most) {
			return false
		}
		if a.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// giveBack frees a place, if p is one.
func (a *admission) giveBack(p place) {
	if p == 0 {
		return
	}
	if p > 1 {
		a.by.giveBack(uint32(p - 1))
	}
	a.taken.Add(-1)
}

// full says which limit refuses every upgrade now, or "".
func (a *admission) full() string {
	if most := a.limits.MaxConnections; most > 0 && a.taken.Load() >= int64(most) {
		return fmt.Sprintf("full: %d sessions are open, the most that -max-connections allows", most)
	}
	if a.watch != nil && a.watch.full.Load() {
		return "full: more than nine tenths of -max-memory or of the control group's limit are in use"
	}
	return ""
}

// Full says why this node refuses every upgrade at present, or "". It may be called from
// any goroutine.
func (n *Node) Full() string { return n.admission.full() }

// admit gives the connection a place. Otherwise it refuses the upgrade and reports false.
func (l *loop) admit(c *netpoll.Conn, s *session) bool {
	a := &l.node.admission
	if !a.on {
		return true
	}
	var addr netip.Addr
	if a.by.most > 0 {
		addr = l.peer(c)
	}
	p, why, ok := a.take(addr)
	if !ok {
		no := &noPlace[why]
		l.refuse(c, s, why, no.status, publish.RetryAfter(), no.text)
		return false
	}
	if a.counts {
		*l.places.At(c.Slot()) = p
	}
	return true
}

// noPlace has the answers to upgrades that get no place.
var noPlace = [numRejections]struct {
	status int
	text   string
}{
	rejectMemory:         {503, "This node is short of memory.\n"},
	rejectMaxConnections: {503, "This node has as many connections as it may have.\n"},
	rejectAddress:        {429, "Your address has as many connections as it may have.\n"},
	rejectAcceptRate:     {503, "Too many clients connect at once.\n"},
}

// vacate gives the place of a connection back, if it has one. It is called once for each
// connection, at its end.
func (l *loop) vacate(c *netpoll.Conn) {
	if a := &l.node.admission; a.counts {
		p := l.places.At(c.Slot())
		a.giveBack(*p)
		*p = 0
	}
}
