package session

import (
	"hash/maphash"
	"sync"

	"wsify/internal/command"
	"wsify/netpoll"
)

// publishRate limits the publications of each channel that clients and backends send to
// this node. It has a bucket for each channel that was published to in the last second. A
// bucket that is full again is forgotten: it says nothing that a new one does not say.
//
// A channel is known by a hash of its name with a seed of this process, so a publication
// does not allocate.
type publishRate struct {
	seed   maphash.Seed
	shards [publishShards]publishShard
}

// publishShard has the buckets of some channels.
type publishShard struct {
	mu      sync.Mutex        // a leaf lock
	buckets map[uint64]bucket // by hash of the name; guarded by mu
	sweepAt int               // how many buckets are searched for full ones; guarded by mu
	swept   uint32            // tick of the last search; guarded by mu
}

// At most publishShards*maxBuckets channels are limited at once, in 8 MB. When a shard has
// no place, as none of its buckets is full again, further channels in it are not limited.
// That takes more than a quarter of a million channels within 1/rate seconds.
const (
	publishShards = 64
	maxBuckets    = 4 << 10
	minBuckets    = 64
)

// allow takes a publication from the channel's bucket. It reports false if the channel has
// had too many.
func (p *publishRate) allow(r *bucketRate, channel []byte) bool {
	hash := maphash.Bytes(p.seed, channel)
	return p.shards[hash%publishShards].allow(r, hash)
}

func (s *publishShard) allow(r *bucketRate, hash uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := r.tick() // while locked, so that the ticks of a bucket ascend
	b, known := s.buckets[hash]
	if !known {
		b = bucket(now)
		if len(s.buckets) >= max(s.sweepAt, minBuckets) {
			s.sweep(r, now)
		}
	}
	if !r.take(&b, now) {
		return false
	}
	if known || len(s.buckets) < maxBuckets {
		if s.buckets == nil {
			s.buckets = make(map[uint64]bucket)
		}
		s.buckets[hash] = b
	}
	return true
}

// sweep forgets the full buckets. The next sweep is due when the number of buckets has
// doubled, so a publication pays for two buckets on average; and one tick later at the
// earliest, because no bucket fills before. mu is locked.
func (s *publishShard) sweep(r *bucketRate, now uint32) {
	if len(s.buckets) >= maxBuckets && s.swept == now {
		return
	}
	for hash, b := range s.buckets {
		if r.missing(b, now) == 0 {
			delete(s.buckets, hash)
		}
	}
	if len(s.buckets) == 0 {
		s.buckets = nil // a map never shrinks by itself
	}
	s.sweepAt, s.swept = min(2*len(s.buckets), maxBuckets), now
}

// tidy forgets the full buckets of all shards.
func (p *publishRate) tidy(r *bucketRate) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		if len(s.buckets) > 0 {
			s.sweep(r, r.tick())
		}
		s.mu.Unlock()
	}
}

var errPublishRate = &command.Error{Code: command.Limit, Message: "this channel gets too many publications a second: not published"}

// overPublishRate reports whether the channel has had too many publications, and answers
// the command if so. A command that has waited for room was counted before its wait.
func (l *loop) overPublishRate(c *netpoll.Conn, s *session, cmd *command.Command) bool {
	if e := l.more(s); e != nil && (e.room != nil || e.brokerRoom != nil) {
		return false
	}
	if l.node.publications.allow(&l.node.now().publications, cmd.Channel) {
		return false
	}
	l.counts.dropped[dropPublishRate].Add(1)
	l.notDone(c, cmd, errPublishRate)
	return true
}
