// Package buffer holds the bytes that many connections send at once.
//
// A Buffer is written by one goroutine, then shared read-only between loops and
// outbound queues, and goes back to a pool when the last reference is released.
// The count makes a publication free of allocations: its bytes outlive the turn
// only where a slow connection still needs them.
package buffer

import (
	"sync"
	"sync/atomic"

	"wsify/internal/invariants"
)

// Buffer is reference-counted bytes. The bytes never change once a second
// reference exists (invariant I9).
type Buffer struct {
	refs atomic.Int32
	// Messages is how many messages the bytes hold; set before sharing.
	Messages int
	// Stamp is a number of whoever published, set before sharing; 0 is none. Joined
	// buffers keep the first one.
	Stamp int64
	b     []byte
}

// classes are the capacities that are pooled. A larger buffer belongs to the
// garbage collector: keeping it would hold memory for the rarest messages.
var classes = [...]int{256, 2 << 10, 16 << 10, 64 << 10, 256 << 10}

// pools is shared by every loop; sync.Pool keeps one list per core and gives
// memory back over two collections.
var pools [len(classes)]sync.Pool

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
	for i, size := range classes {
		if n > size {
			continue
		}
		if b, _ := pools[i].Get().(*Buffer); b != nil {
			return b
		}
		return &Buffer{b: make([]byte, 0, size)}
	}
	return &Buffer{b: make([]byte, 0, n)}
}

// Bytes returns the contents, borrowed: valid while the caller holds a
// reference, and read-only once the buffer is shared.
func (b *Buffer) Bytes() []byte { return b.b }

// SetBytes replaces the contents by p, which was made by appending to Bytes.
// Only the sole owner may call it.
func (b *Buffer) SetBytes(p []byte) {
	if invariants.Enabled {
		invariants.Check(b.refs.Load() == 1, "I9: write to a buffer with %d references", b.refs.Load())
	}
	b.b = p
}

// Append adds p and counts messages more. Only the sole owner may call it.
func (b *Buffer) Append(p []byte, messages int) {
	b.SetBytes(append(b.b, p...))
	b.Messages += messages
}

// Len returns the number of bytes held.
func (b *Buffer) Len() int { return len(b.b) }

// Room returns how many bytes fit without growing.
func (b *Buffer) Room() int { return cap(b.b) - len(b.b) }

// Sole reports whether the caller's reference is the only one.
func (b *Buffer) Sole() bool { return b.refs.Load() == 1 }

// Retain adds a reference and returns b. Any goroutine that holds a reference
// may call it.
func (b *Buffer) Retain() *Buffer {
	refs := b.refs.Add(1)
	if invariants.Enabled {
		invariants.Check(refs > 1, "I9: buffer retained without holding a reference")
	}
	return b
}

// Release drops a reference. After the last one the buffer is somebody else's.
func (b *Buffer) Release() {
	left := b.refs.Add(-1)
	if invariants.Enabled {
		invariants.Check(left >= 0, "I9: buffer released %d times too often", -left)
	}
	if left != 0 {
		return
	}
	if invariants.Enabled {
		invariants.Clobber(b.b)
	}
	b.b, b.Messages, b.Stamp = b.b[:0], 0, 0
	for i, size := range classes {
		if cap(b.b) == size {
			pools[i].Put(b)
			return
		}
	}
}
