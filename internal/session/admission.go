package session

import (
	"fmt"
	"hash/maphash"
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
// descriptors, timeouts and the memory (loop.hoard). Loops use an admission at the same time.
type admission struct {
	counts bool             // places are counted, so each connection has a place to remember; immutable
	now    func() time.Time // immutable
	watch  *memoryWatch     // nil: the memory is not watched
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
		n.watch.open()
	}
	n.admission.counts, n.admission.now = n.cfg.MaxConnections > 0 || n.cfg.MaxConnectionsPerAddress > 0, now
	n.publications.seed, n.clock = maphash.MakeSeed(), now
}

// limitsInForce are the limits of a snapshot.
type limitsInForce struct {
	Limits
	refuses      bool          // an upgrade may be refused
	accepts      *rate.Limiter // nil: no limit; it has a leaf lock of its own
	commands     bucketRate    // of each connection
	publications bucketRate    // of each channel
}

// limitsAfter returns new limits to replace before, or the first ones if before is nil.
//
// Connections that were opened without a limit on them are not counted. So such a limit
// cannot be set while the node runs, only changed.
func (n *Node) limitsAfter(before *snapshot, limits Limits) limitsInForce {
	a := &n.admission
	if before == nil {
		idle := bucketRate{now: a.now, began: a.now()}
		before = &snapshot{limitsInForce: limitsInForce{Limits: limits, commands: idle, publications: idle}}
	}
	if before.MaxConnections == 0 {
		limits.MaxConnections = 0
	}
	if before.MaxConnectionsPerAddress == 0 {
		limits.MaxConnectionsPerAddress = 0
	}
	in := limitsInForce{Limits: limits, accepts: before.accepts}
	if in.accepts == nil || limits.AcceptRate != before.AcceptRate {
		in.accepts = newLimiter(limits.AcceptRate)
	}
	in.refuses = a.counts || in.accepts != nil || a.watch != nil
	in.commands = before.commands.changed(limits.CommandRate, limits.CommandBurst)
	in.publications = before.publications.changed(limits.PublishRate, limits.PublishRate)
	return in
}

// newLimiter returns a limiter for that many a second, and at once. It is nil for none.
func newLimiter(perSecond int) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), perSecond)
}

// place is what a connection gives back at its end: 0 is no place, and above noAddress are
// places of addresses.
type place uint32

// noAddress is a place without an address.
const noAddress place = 1

// take returns a place. If there is none, ok is false and why says which limit is reached.
// The rate comes last, so that upgrades that another limit refuses do not use it up. addr
// is the client's, or not valid if it is unknown.
func (a *admission) take(in *limitsInForce, addr netip.Addr) (p place, why rejection, ok bool) {
	if a.watch != nil && a.watch.full.Load() {
		return 0, rejectMemory, false
	}
	if a.counts {
		if !a.reserve(in.MaxConnections) {
			return 0, rejectMaxConnections, false
		}
		p = noAddress
	}
	if in.MaxConnectionsPerAddress > 0 && addr.IsValid() {
		if p, ok = a.by.take(addr, in.MaxConnectionsPerAddress); !ok {
			a.giveBack(noAddress)
			return 0, rejectAddress, false
		}
	}
	if in.accepts != nil && !in.accepts.AllowN(a.now(), 1) {
		a.giveBack(p)
		return 0, rejectAcceptRate, false
	}
	return p, 0, true
}

// reserve counts a place, unless most or more are taken; 0 is no limit. The count never
// exceeds the limit, not even for a moment, so no upgrade is refused while a place is free.
func (a *admission) reserve(most int) bool {
	for {
		n := a.taken.Load()
		if most > 0 && n >= int64(most) {
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
	if p > noAddress {
		a.by.giveBack(p)
	}
	a.taken.Add(-1)
}

// full says which limit refuses every upgrade now, or "".
func (a *admission) full(most int) string {
	if most > 0 && a.taken.Load() >= int64(most) {
		return fmt.Sprintf("full: %d sessions are open, the most that -max-connections allows", most)
	}
	if a.watch != nil && a.watch.full.Load() {
		return "full: more than nine tenths of -max-memory or of the control group's limit are in use"
	}
	return ""
}

// Full says why this node refuses every upgrade at present, or "". It may be called from
// any goroutine.
func (n *Node) Full() string { return n.admission.full(n.now().MaxConnections) }

// admit gives the connection a place. Otherwise it refuses the upgrade and reports false.
func (l *loop) admit(c *netpoll.Conn, s *session) bool {
	a, in := &l.node.admission, &l.node.now().limitsInForce
	if !in.refuses {
		return true
	}
	var addr netip.Addr
	if in.MaxConnectionsPerAddress > 0 {
		addr = l.peer(c)
	}
	p, why, ok := a.take(in, addr)
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
	rejectMemory:         {503, shortOfMemory},
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
