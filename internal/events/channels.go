package events

import (
	"container/list"
	"sync"
	"time"
)

const (
	// settleTime is how long a channel has to stay occupied, or vacated, before that is told.
	settleTime = 3 * time.Second
	// maxChanges bounds the channels that differ from what was told, some 20 MB. Further changes are
	// lost and counted.
	maxChanges = 100_000
)

// Channels notes which channels have members on this node. It is a hub.Watcher: it is called with a
// shard locked, and only notes the change.
//
// A channel is noted while it differs from what was told last. So a channel that fills and empties
// again, or the other way round, within settleTime is forgotten, and says nothing.
type Channels struct {
	sender *Sender
	settle time.Duration
	most   int

	mu    sync.Mutex               // a leaf
	noted map[string]*list.Element // by name; guarded by mu
	order list.List                // of *change, the oldest first; guarded by mu
	peak  int                      // most entries since noted was made; guarded by mu
}

// change is a channel that differs from what was told.
type change struct {
	name string
	kind Kind // Occupied or Vacated
	at   time.Time
}

// Subscribe notes that a channel has its first member.
func (c *Channels) Subscribe(channel string) { c.note(channel, Occupied) }

// Unsubscribe notes that a channel has lost its last member.
func (c *Channels) Unsubscribe(channel string) { c.note(channel, Vacated) }

func (c *Channels) note(channel string, kind Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.noted[channel]; e != nil { // it is again as it was told
		c.removeLocked(e)
		return
	}
	if len(c.noted) >= c.most {
		if c.sender.Wants(kind) {
			c.sender.lost[lostQueueFull].Add(1)
		}
		return
	}
	if c.noted == nil {
		c.noted = make(map[string]*list.Element)
	}
	c.noted[channel] = c.order.PushBack(&change{channel, kind, time.Now()})
	c.peak = max(c.peak, len(c.noted))
}

// keepMap is the largest map that is kept when it is empty: Go's maps keep the memory of their
// largest size.
const keepMap = 1024

func (c *Channels) removeLocked(e *list.Element) {
	delete(c.noted, c.order.Remove(e).(*change).name)
	if len(c.noted) == 0 && c.peak > keepMap {
		c.noted, c.peak = nil, 0
	}
}

// take adds the changes that have settled at now to a batch, the oldest first, until it is full.
func (c *Channels) take(batch []*Event, now time.Time) []*Event {
	for more := c != nil; more && len(batch) < maxBatch; {
		batch, more = c.takeSome(batch, now)
	}
	return batch
}

// takeSome is take for as many changes as fit into a batch: event loops may wait for the lock. more
// says that it has to be called again.
func (c *Channels) takeSome(batch []*Event, now time.Time) (_ []*Event, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range maxBatch - len(batch) {
		e := c.order.Front()
		if e == nil {
			return batch, false
		}
		ch := e.Value.(*change)
		if now.Sub(ch.at) < c.settle {
			return batch, false
		}
		c.removeLocked(e)
		if c.sender.Wants(ch.kind) {
			batch = append(batch, &Event{Kind: ch.kind, Channel: ch.name, Node: c.sender.node, Time: stamp(ch.at)})
		}
	}
	return batch, true
}

// waiting returns how many changes are noted.
func (c *Channels) waiting() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.noted)
}
