package broker

import (
	"container/list"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"wsify/broker/internal/link"
)

// Memory that a ring and a publication take besides the name and the content.
const (
	ringOverhead = 320
	keptOverhead = 96 // up to two places of a slice that grows, and a short allocation's rest
)

// errNoRoom refuses a publication without which its history would have a hole.
var errNoRoom = fmt.Errorf("%w: the history has no room for it (-history-memory)", ErrTooBig)

// rings is the history of Memory: a ring of the newest publications for each channel, all within one
// bound. Any goroutine may call its methods.
//
// A channel's epoch follows from its name and a secret of this process, so a channel that nothing was
// published to has a position, and takes no memory. The offsets of a channel never come twice: a ring
// begins behind floor, the largest offset of all that were lost. What was lost is below it, so that a
// reader who asks for more is told.
type rings struct {
	keep History
	now  func() time.Duration // since a fixed instant
	seed maphash.Seed

	mu     sync.Mutex // a leaf, but that a channelRing is tried
	byName map[string]*channelRing
	bytes  int64
	floor  uint64    // the largest offset of a lost ring
	losses uint64    // rings with publications that were lost to make room
	full   list.List // of *channelRing, those with publications: the least recently published is first
	empty  list.List // the others, the first to be lost
}

// channelRing is the ring of one channel.
type channelRing struct {
	name  string // immutable
	epoch string // immutable

	mu   sync.Mutex // held while a publication is delivered; locked before rings.mu and those of the hub
	kept []kept     // oldest first, with offsets up to last
	size int64      // the memory it takes
	last uint64     // the offset of the newest publication
	lost bool       // it is not in rings any more

	// Guarded by rings.mu.
	counted   int64         // of size, by rings.bytes
	published time.Duration // the newest publication
	place     *list.Element
	in        *list.List // full or empty
}

func newRings(keep History) *rings {
	began := time.Now()
	return &rings{keep: keep, now: func() time.Duration { return time.Since(began) }, seed: maphash.MakeSeed(), byName: map[string]*channelRing{}}
}

func (s *rings) epoch(channel string) string {
	return strconv.FormatUint(maphash.String(s.seed, channel), 36)
}

// publish delivers content with its position, and keeps it. If deliver fails, nothing is kept.
func (s *rings) publish(channel, content []byte, deliver func(channel, content []byte) error) (Position, error) {
	if emptySize(link.String(channel))+keptSize(positionRoom+len(content)) > s.keep.Memory {
		return Position{}, errNoRoom
	}
	c := s.open(channel)
	defer c.mu.Unlock()
	defer s.settle(c)
	p := Position{c.epoch, c.last + 1}
	content, ok := WithPosition(content, p, c.last)
	if !ok {
		return Position{}, ErrHead
	}
	one := kept{content, s.now()}
	if err := deliver(channel, content); err != nil {
		return Position{}, err
	}
	c.push(one)
	c.drop(max(len(c.kept)-s.keep.Size, c.expired(one.at-s.keep.TTL)))
	return p, nil
}

// open returns the ring of a channel, locked. It makes one if there is none.
func (s *rings) open(channel []byte) *channelRing {
	for {
		s.mu.Lock()
		c := s.byName[string(channel)]
		if c == nil {
			c = s.add(string(channel))
		}
		s.mu.Unlock()
		c.mu.Lock()
		if !c.lost {
			return c
		}
		c.mu.Unlock()
	}
}

// add makes an empty ring. Needs mu.
func (s *rings) add(channel string) *channelRing {
	c := &channelRing{name: channel, epoch: s.epoch(channel), size: emptySize(channel), last: s.floor}
	s.byName[channel] = c
	s.count(c)
	c.in, c.place = &s.empty, s.empty.PushBack(c)
	return c
}

// count counts what c takes now. The caller holds both locks, or c is new.
func (s *rings) count(c *channelRing) {
	s.bytes += c.size - c.counted
	c.counted = c.size
}

// settle counts what c takes now, and makes room for it: empty rings and then the least recently
// published ones are lost, and at last the oldest publications of c. Rings that are being published
// to stay, and settle after. The caller holds c.mu.
func (s *rings) settle(c *channelRing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(c)
	if n := len(c.kept); n > 0 {
		c.published = c.kept[n-1].at
		s.move(c, &s.full)
		s.clean(c.published - s.keep.TTL)
	}
	s.shrink(&s.empty, c)
	s.shrink(&s.full, c)
	for s.bytes > s.keep.Memory && len(c.kept) > 1 {
		c.drop(1)
		s.count(c)
	}
}

// move puts c at the end of a list. Needs mu.
func (s *rings) move(c *channelRing, to *list.List) {
	c.in.Remove(c.place)
	c.in, c.place = to, to.PushBack(c)
}

// clean empties up to two rings whose publications have all expired. With each publication one ring
// becomes full, so none is left behind. Needs mu.
func (s *rings) clean(before time.Duration) {
	for range 2 {
		at := s.full.Front()
		if at == nil {
			return
		}
		c := at.Value.(*channelRing)
		if c.published >= before || !c.mu.TryLock() {
			return
		}
		c.drop(len(c.kept))
		s.count(c)
		s.move(c, &s.empty)
		c.mu.Unlock()
	}
}

// shrink loses rings from the front of a list, but not c, until the rest fits. Needs mu.
func (s *rings) shrink(l *list.List, c *channelRing) {
	for at := l.Front(); at != nil && s.bytes > s.keep.Memory; {
		other := at.Value.(*channelRing)
		at = at.Next()
		if other == c || !other.mu.TryLock() {
			continue
		}
		if len(other.kept) > 0 {
			s.losses++
		}
		s.bytes -= other.counted
		s.floor = max(s.floor, other.last)
		delete(s.byName, other.name)
		l.Remove(other.place)
		other.lost = true
		other.mu.Unlock()
	}
}

// read is ReadHistory.
func (s *rings) read(channel string, after Position, last int) (Page, error) {
	now := s.now()
	s.mu.Lock()
	c, floor := s.byName[channel], s.floor
	s.mu.Unlock()
	if c == nil {
		tail := Position{s.epoch(channel), floor}
		return Page{Tail: tail, Complete: last > 0 || after == Position{} || after == tail}, nil
	}
	c.mu.Lock()
	if c.lost {
		c.mu.Unlock()
		return s.read(channel, after, last)
	}
	some, page := c.read(c.expired(now-s.keep.TTL), after, last)
	c.mu.Unlock()
	page.Entries = make([]Entry, len(some))
	for i, k := range some {
		e := &page.Entries[i]
		e.Head, e.Content, _ = SplitHead(k.content)
	}
	return page, nil
}
