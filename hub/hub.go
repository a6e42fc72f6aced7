package hub

import (
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
)

// ErrBusy says that a channel takes no more, because too much is undelivered in it.
// The publisher waits (AwaitRoom) or is refused.
var ErrBusy = errors.New("the channel has too much undelivered")

// Sink is told what others have to do. It is called from any goroutine with no lock
// held, and must not block.
type Sink interface {
	// Wake says that a loop has something to deliver. The loop then calls Local.Take.
	Wake(loop int)
	// Room says that room is kept for a waiter without Came, until Hub.Forgo.
	Room(w *Waiter)
}

// Watcher is told when a channel gets its first member on this node and when it
// loses its last. The calls for one channel come in the order of the events, with
// the channel's shard locked: they must only record the change. Broker
// implementations subscribe and unsubscribe from here (I12).
type Watcher interface {
	Subscribe(channel string)
	Unsubscribe(channel string)
}

// Config holds the settings of a Hub.
type Config struct {
	// Loops is the number of event loops, 1 to 256; values outside are clamped.
	Loops int
	// Shards is the number of separately locked stripes, rounded up to a power
	// of two. Zero means 64 per loop.
	Shards int
	// MaxPendingBytes is how many bytes may wait for one loop to deliver them to one
	// channel; beyond that, Busy reports true. A channel with nothing waiting has
	// room for a publication of any size. Zero means 256 KiB.
	MaxPendingBytes int
	// Sink and Watcher must not be nil.
	Sink    Sink
	Watcher Watcher
}

// Hub is the subscription table of a node. Its methods may be called from any
// goroutine; the methods of a Local may not.
type Hub struct {
	shards     []shard
	mask       uint64
	seed       maphash.Seed
	locals     []*Local
	maxPending int
	sink       Sink
	watcher    Watcher
}

// shard is one stripe of the table.
type shard struct {
	mu       sync.Mutex
	channels map[string]*channel
	peak     int      // most channels since the map was made
	members  int64    // subscriptions in this shard, without those of implicit channels
	implicit int      // implicit channels
	_        [24]byte // fills the cache line, so that shards share none
}

// New returns an empty hub.
func New(cfg Config) *Hub {
	cfg.Loops = min(max(cfg.Loops, 1), maxLoops)
	if cfg.Shards <= 0 {
		cfg.Shards = 64 * cfg.Loops
	}
	if cfg.MaxPendingBytes <= 0 {
		cfg.MaxPendingBytes = 256 << 10
	}
	n := 1 << bits.Len(uint(cfg.Shards-1))
	h := &Hub{
		shards: make([]shard, n), mask: uint64(n - 1), seed: maphash.MakeSeed(),
		maxPending: cfg.MaxPendingBytes, sink: cfg.Sink, watcher: cfg.Watcher,
	}
	for i := range cfg.Loops {
		h.locals = append(h.locals, &Local{hub: h, loop: i})
	}
	return h
}

// Local returns the part of the hub that belongs to a loop. Only that loop may use it.
func (h *Hub) Local(loop int) *Local { return h.locals[loop] }

// Shards returns the number of stripes.
func (h *Hub) Shards() int { return len(h.shards) }

func (h *Hub) shardOf(name []byte) *shard {
	return &h.shards[h.indexOf(name)]
}

func (h *Hub) indexOf(name []byte) uint32 { return uint32(maphash.Bytes(h.seed, name) & h.mask) }

// Publish gives a publication to every loop that has members of the channel, and
// returns the number of these members. Each gets the frame of its class, which holds
// one or more encoded messages. The caller keeps its references, and the bytes must not
// change any more (I9).
//
// If a class with members has no frame, Publish does nothing, and returns all such
// classes. The caller encodes them and calls again.
//
// It refuses nothing: the caller has asked for room, with Busy, Full or AwaitRoom.
func (h *Hub) Publish(channel []byte, f *Frames) (members int, missing Classes) {
	return h.PublishThen(channel, f, 0, nil)
}

// Stats is what a hub holds now, without implicit channels.
type Stats struct {
	Channels      int64
	Subscriptions int64
}

// Stats counts channels and subscriptions. It locks each shard in turn.
func (h *Hub) Stats() (st Stats) {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		st.Channels += int64(len(s.channels) - s.implicit)
		st.Subscriptions += s.members
		s.mu.Unlock()
	}
	return st
}

// createLocked makes a channel with this name in the shard of this index.
func (s *shard) createLocked(name string, index uint32) *channel {
	ch := &channel{name: name, shard: index}
	ch.first.channel, ch.first.key = ch, noKey
	if s.channels == nil {
		s.channels = make(map[string]*channel)
	}
	s.channels[name] = ch
	s.implicit += 1 - int(ch.counted())
	s.peak = max(s.peak, len(s.channels))
	return ch
}

// shrinkAt is the size from which a nearly empty map is copied into a smaller one:
// Go's maps keep the memory of their largest size. Each copy moves an eighth, after
// seven eighths were removed one by one.
const shrinkAt = 32

func (s *shard) removeLocked(ch *channel) {
	delete(s.channels, ch.name)
	s.implicit -= 1 - int(ch.counted())
	if s.peak < shrinkAt || len(s.channels) > s.peak/8 {
		return
	}
	small := make(map[string]*channel, len(s.channels))
	for name, ch := range s.channels {
		small[name] = ch
	}
	s.channels, s.peak = small, len(small)
}
