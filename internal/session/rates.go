package session

import (
	"math/bits"
	"time"

	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// bucketRate is a rate with buckets: each holds up to burst, and gets one more at each
// multiple of 1/rate seconds. That is GCRA (the generic cell rate algorithm) with a clock of
// 1/rate seconds: a bucket is a single number, which is not touched while nothing is taken.
//
// golang.org/x/time/rate would take 80 bytes and a lock for each bucket.
type bucketRate struct {
	rate, burst uint32           // a second, and at once; rate 0: no limit; immutable
	now         func() time.Time // immutable
	began       time.Time        // immutable
	base        uint32           // tick at that time; immutable
}

// bucket is the tick at which the bucket will be full again, or a tick in the past. Ticks
// wrap. So a bucket that was left empty may be found empty once more, if nothing is taken
// until exactly one round is over: 49 days with 1,000 a second.
type bucket uint32

// changed returns r with another rate. A change finds, and leaves, every bucket full.
func (r bucketRate) changed(rate, burst int) bucketRate {
	if r.rate == uint32(rate) && r.burst == uint32(burst) {
		return r
	}
	return bucketRate{rate: uint32(rate), burst: uint32(burst), now: r.now, began: r.now(), base: r.tick() + r.burst}
}

// tick is how many the rate has allowed since the start.
func (r *bucketRate) tick() uint32 {
	hi, lo := bits.Mul64(uint64(max(r.now().Sub(r.began), 0)), uint64(r.rate))
	n, _ := bits.Div64(hi, lo, uint64(time.Second))
	return r.base + uint32(n)
}

// missing is how many b lacks at a tick.
func (r *bucketRate) missing(b bucket, now uint32) uint32 {
	if n := uint32(b) - now; n <= r.burst {
		return n
	}
	return 0 // full in the past
}

// take takes one from b at a tick. It reports false if b is empty.
func (r *bucketRate) take(b *bucket, now uint32) bool {
	missing := r.missing(*b, now)
	if missing == r.burst {
		return false
	}
	*b = bucket(now + missing + 1)
	return true
}

var errCommandRate = &command.Error{Code: command.Limit, Message: "this connection sends too many commands a second"}

// withinRate reports whether the connection may send one more command. If not, it ends the
// session or, with -rate-policy drop, refuses this command. Only messages count: a pong
// costs less than counting, the bytes of a ping's answer are bounded by the write queue,
// and a Close frame is the last.
func (l *loop) withinRate(c *netpoll.Conn, s *session, cmd *command.Command) bool {
	in := l.node.now()
	l.buckets.Grow(c.Slot()) // the session may be older than the rate
	if r := &in.commands; r.take(l.buckets.At(c.Slot()), r.tick()) {
		return true
	}
	if in.DropOverRate {
		l.counts.dropped[dropRate].Add(1)
		l.notDone(c, cmd, errCommandRate)
	} else {
		l.counts.notDone(command.Limit)
		l.end(c, s, reasonRateLimited, wire.RateLimited, "too many commands a second")
	}
	return false
}

// fillBucket gives a new session its bucket.
func (l *loop) fillBucket(c *netpoll.Conn) {
	if r := &l.node.now().commands; r.rate > 0 {
		l.buckets.Grow(c.Slot())
		*l.buckets.At(c.Slot()) = bucket(r.tick()) // full
	}
}
