// Package buffer holds the bytes that many connections send at once.
//
// A Buffer is written by one goroutine, then shared read-only between loops and
// outbound queues. It returns to a pool when the last reference is released. Thus a
// publication needs no allocation: its bytes outlive the turn only where a slow
// connection still needs them.
package buffer

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"wsify/internal/invariants"
)

// Buffer is reference-counted bytes. The bytes never change once a second
// reference exists (invariant I9).
type Buffer struct {
	refs atomic.Int64 // references; the upper half counts those of queues
	// Messages is how many messages the bytes hold; set before sharing.
	Messages int
	// Stamp is a number that the publisher sets before sharing; 0 means none.
	// Joined buffers keep the first one.
	Stamp int64
	b     []byte
	holes *holes // nil: all bytes are for every connection
}

// Buffers of 256 bytes to 256 KiB are pooled by their capacity. It is a power of
// two, so that a queue holds at most twice the size of a frame. A larger buffer is
// left to the garbage collector: pooling it would hold memory for the rarest
// messages.
const (
	smallest = 256
	classes  = 11
)

// All loops share pools; sync.Pool keeps one list per processor and frees memory
// over two collections.
var pools [classes]sync.Pool

// class returns the smallest class with room for n bytes; classes and above are not pooled.
func class(n int) int { return bits.Len(uint(max(n-1, 0)) / smallest) }

// New returns an empty buffer with room for n bytes and one reference, which
// the caller owns.
func New(n int) *Buffer {
	b := take(n)
	if invariants.Enabled {
		invariants.Check(b.refs.Load() == 0, "I9: pooled buffer still has %d references", b.refs.Load())
	}
	b.refs.Store(1)
	return b
}

func take(n int) *Buffer {
	i := class(n)
	if i >= classes {
		return &Buffer{b: make([]byte, 0, n)}
	}
	if b, _ := pools[i].Get().(*Buffer); b != nil {
		return b
	}
	return &Buffer{b: make([]byte, 0, smallest<<i)}
}

// Bytes returns the contents, borrowed: valid while the caller holds a
// reference, and read-only once the buffer is shared.
func (b *Buffer) Bytes() []byte { return b.b }

// SetBytes replaces the contents by p, the result of appending to Bytes. Only the
// sole owner may call it.
func (b *Buffer) SetBytes(p []byte) {
	if invariants.Enabled {
		invariants.Check(b.Sole(), "I9: write to a buffer with %d references", int32(b.refs.Load()))
	}
	b.b = p
}

// Append adds p, and messages to the count. Only the sole owner may call it.
func (b *Buffer) Append(p []byte, messages int) {
	b.SetBytes(append(b.b, p...))
	b.Messages += messages
}

// Len returns the number of bytes held.
func (b *Buffer) Len() int { return len(b.b) }

// Room returns how many bytes fit without growing.
func (b *Buffer) Room() int { return cap(b.b) - len(b.b) }

// Sole reports whether the caller's reference is the only one.
func (b *Buffer) Sole() bool { return int32(b.refs.Load()) == 1 }

// Retain adds a reference and returns b. Any goroutine that holds a reference
// may call it.
func (b *Buffer) Retain() *Buffer {
	b.retain(1)
	return b
}

func (b *Buffer) retain(n int64) (refs int64) {
	refs = b.refs.Add(n)
	if invariants.Enabled {
		invariants.Check(int32(refs) > 1, "I9: buffer retained without holding a reference")
	}
	return refs
}

// Release drops a reference. After the last one, the buffer may belong to another user.
func (b *Buffer) Release() { b.release(1) }

func (b *Buffer) release(n int64) (left int64) {
	left = b.refs.Add(-n)
	if invariants.Enabled {
		invariants.Check(int32(left) >= 0, "I9: buffer released %d times too often", -int32(left))
	}
	if left == 0 {
		b.giveBack()
	}
	return left
}

func (b *Buffer) giveBack() {
	if invariants.Enabled {
		invariants.Clobber(b.b)
	}
	b.b, b.Messages, b.Stamp, b.holes = b.b[:0], 0, 0, nil
	if i := class(cap(b.b)); i < classes && cap(b.b) == smallest<<i {
		pools[i].Put(b)
	}
}
