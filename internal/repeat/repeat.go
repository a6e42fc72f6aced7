// Package repeat remembers how requests were answered, so that one that comes again with the same key
// is answered as the first time and not carried out again.
package repeat

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Verdict says what to do with a request.
type Verdict uint8

const (
	New      Verdict = iota // carry it out, then call End
	Known                   // answer it as the first time
	UnderWay                // the first one has no answer yet
	Another                 // the key belongs to a request with another body
)

// Answer is how a request was answered.
type Answer struct {
	Status  int
	Headers string // lines with CRLF
	Kind    string // media type of the body
	Body    []byte // shared and read-only
}

// Bounds of what a Memory holds. At either, the oldest key is forgotten.
const (
	MaxKeys  = 10_000
	MaxBytes = 16 << 20
	overhead = 256 // bytes of a key beside its text and answer
)

// For is how long an answer is remembered.
const For = time.Minute

// Memory holds keys with their answers. Any goroutine may call its methods; the lock is a leaf. Make
// one with New.
type Memory struct {
	mu    sync.Mutex
	keys  *simplelru.LRU[string, *request] // the oldest first: it is only peeked into
	bytes int
}

// request is what is known of one key.
type request struct {
	sum   uint64    // of its body
	at    time.Time // of its answer; until then, when it began
	size  int       // bytes, as counted
	known bool      // it has an answer
	Answer
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	m := &Memory{}
	m.keys, _ = simplelru.NewLRU(MaxKeys, func(_ string, r *request) { m.bytes -= r.size }) // the size is not zero
	return m
}

// Begin judges a request with this key and this sum of its body.
func (m *Memory) Begin(key string, sum uint64, now time.Time) (Verdict, Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	r, ok := m.keys.Peek(key)
	switch {
	case !ok:
		m.add(key, &request{sum: sum, at: now})
		return New, Answer{}
	case r.sum != sum:
		return Another, Answer{}
	case !r.known:
		return UnderWay, Answer{}
	}
	return Known, r.Answer
}

// End remembers the answer to a New request.
func (m *Memory) End(key string, sum uint64, a Answer, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys.Remove(key)
	m.add(key, &request{sum: sum, at: now, known: true, Answer: a})
}

// Forget ends a New request whose answer is not remembered.
func (m *Memory) Forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys.Remove(key)
}

// Tidy forgets the answers that are too old.
func (m *Memory) Tidy(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
}

// Size returns the number of keys, and the bytes that count for MaxBytes.
func (m *Memory) Size() (keys, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys.Len(), m.bytes
}

func (m *Memory) add(key string, r *request) {
	r.size = overhead + len(key) + len(r.Headers) + cap(r.Body)
	m.bytes += r.size
	m.keys.Add(key, r)
	for m.bytes > MaxBytes && m.keys.Len() > 1 {
		m.keys.RemoveOldest()
	}
}

// expire forgets what is older than For. A request that has no answer in that time has lost it.
func (m *Memory) expire(now time.Time) {
	for {
		if _, r, ok := m.keys.GetOldest(); !ok || now.Sub(r.at) < For {
			return
		}
		m.keys.RemoveOldest()
	}
}
