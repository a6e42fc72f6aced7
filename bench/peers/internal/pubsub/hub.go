package pubsub

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// shardCount is how many independently locked parts a hub has.
const shardCount = 64

// crowded is how many members a channel finds by looking at each. Above it keeps
// an index, which would be the greater part of a small channel.
const crowded = 16

// hub is the table of who hears which channel.
//
// Lock order: none; a shard's lock and a channel's are never held together, so a
// long fan-out delays its own channel and no other.
type hub[M comparable] struct {
	seed   maphash.Seed
	shards [shardCount]shard[M]
}

type shard[M comparable] struct {
	mu       sync.Mutex
	channels map[string]*channel[M] // guarded by mu
}

// channel is the members of one channel.
type channel[M comparable] struct {
	name   string
	claims int // joins under way and members; guarded by the shard's mu

	mu      sync.Mutex
	members []M       // guarded by mu
	places  map[M]int // guarded by mu; nil in a small channel
}

func newHub[M comparable]() *hub[M] {
	h := &hub[M]{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].channels = make(map[string]*channel[M])
	}
	return h
}

func (h *hub[M]) shard(name string) *shard[M] {
	return &h.shards[maphash.String(h.seed, name)%shardCount]
}

// join makes m a member. It must not be one yet.
func (h *hub[M]) join(name string, m M) *channel[M] {
	s := h.shard(name)
	s.mu.Lock()
	c := s.channels[name]
	if c == nil {
		// The name may be a part of a whole message, which it would keep.
		c = &channel[M]{name: strings.Clone(name)}
		s.channels[c.name] = c
	}
	c.claims++
	s.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(m)
	return c
}

// leave ends a membership. Once it returns, no publication reaches m any more.
func (h *hub[M]) leave(c *channel[M], m M) {
	c.mu.Lock()
	c.remove(m)
	c.mu.Unlock()

	s := h.shard(c.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.claims--; c.claims == 0 {
		delete(s.channels, c.name)
	}
}

// publish calls deliver with the members of a channel, borrowed until it returns.
// A channel's publications follow each other, so all its members see one order.
func (h *hub[M]) publish(name string, deliver func(members []M)) {
	s := h.shard(name)
	s.mu.Lock()
	c := s.channels[name]
	s.mu.Unlock()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	deliver(c.members)
}

func (c *channel[M]) add(m M) {
	c.members = append(c.members, m)
	if c.places != nil {
		c.places[m] = len(c.members) - 1
		return
	}
	if len(c.members) > crowded {
		c.places = make(map[M]int)
		for i, m := range c.members {
			c.places[m] = i
		}
	}
}

func (c *channel[M]) remove(m M) {
	i, last := c.place(m), len(c.members)-1
	moved := c.members[last]
	c.members[i] = moved
	var none M
	c.members[last] = none
	c.members = c.members[:last]
	if c.places != nil {
		c.places[moved] = i
		delete(c.places, m)
	}
}

func (c *channel[M]) place(m M) int {
	if c.places != nil {
		return c.places[m]
	}
	return slices.Index(c.members, m)
}
