package live

import (
	"sync"
	"time"

	"wsify/internal/ring"
)

// Keep is how many points a Board keeps: 15 minutes of one a second. When another comes, the oldest
// is forgotten.
const Keep = 900

// Point is what the lines of all charts show at one moment. NaN means unknown.
type Point struct {
	At     time.Time
	Values []float32 // in the order of Board's names; owned by the Board
}

// Notes is what the page says besides the charts. It is not kept.
type Notes struct {
	NotReady []string  `json:"not_ready"`          // reasons; none when the node is ready
	Channels *Channels `json:"channels,omitempty"` // nil if names are not to be shown
}

// Channels are those with the highest values, the highest first.
type Channels struct {
	Busiest []Channel `json:"busiest"` // by publications a second
	Largest []Channel `json:"largest"` // by members
}

// Channel is a channel and what there is most of.
type Channel struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Board keeps the latest points and gives each new one to the streams. Any goroutine may call its
// methods. They do not block: a stream that is too slow is ended.
type Board struct {
	version    string
	maxStreams int

	mu      sync.Mutex // a leaf lock
	names   []string
	points  ring.Ring[Point]
	streams map[*stream]struct{}
}

// stream is a page that listens.
type stream struct{ events chan []byte } // closed when the reader is too slow

// backlog is how many events a stream may be behind. Beyond that it is ended.
const backlog = 30

// New returns a Board without points. More than maxStreams streams at once are refused.
func New(version string, maxStreams int) *Board {
	return &Board{version: version, maxStreams: maxStreams, streams: make(map[*stream]struct{})}
}

// Name sets the names of the values of all points.
func (b *Board) Name(names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.names = names
}

// Add adds a point. notes is called only if somebody listens. The event is encoded once for all
// streams.
func (b *Board) Add(p Point, notes func() Notes) {
	var event []byte
	if b.Watched() {
		event = encodePoint(p, notes()) // without the lock, because notes may ask others
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.points.Len() == Keep {
		b.points.Pop()
	}
	b.points.Push(p)
	if event == nil {
		return // streams that began since Watched have a gap of one point
	}
	for s := range b.streams {
		select {
		case s.events <- event:
		default:
			b.endLocked(s)
		}
	}
}

// Watched reports whether there are streams.
func (b *Board) Watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.streams) > 0
}

// open begins a stream and returns its first event, which has all points so far. It returns nil
// when there are too many streams.
func (b *Board) open() (s *stream, history []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.streams) >= b.maxStreams {
		return nil, nil
	}
	s = &stream{events: make(chan []byte, backlog)}
	b.streams[s] = struct{}{}
	return s, b.encodeHistoryLocked()
}

// close ends a stream, unless Add has.
func (b *Board) close(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.streams[s]; open {
		b.endLocked(s)
	}
}

func (b *Board) endLocked(s *stream) {
	delete(b.streams, s)
	close(s.events)
}
