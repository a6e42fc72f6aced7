package wire

import (
	"math/bits"
	"sync"

	"wsify/internal/invariants"
)

// Message buffers are pooled in classes of powers of two. So a connection with a
// few bytes of a message never holds a buffer that grew for a large one.
const (
	minBuffer = 256      // bytes; the smallest class
	maxPooled = 64 << 10 // bytes; larger buffers are left to the garbage collector
	classes   = 9        // 256 << 0 to 256 << 8
)

var buffers [classes]sync.Pool

// buffer is owned memory for the payload of a message in progress. Its capacity
// is fixed: growth moves the bytes to another buffer.
type buffer struct {
	p []byte
}

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	if n > maxPooled {
		return &buffer{p: make([]byte, 0, n)}
	}
	class := classOf(n)
	if b, ok := buffers[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{p: make([]byte, 0, minBuffer<<class)}
}

// free returns the buffer to its pool. The loan of its bytes ends here.
func (b *buffer) free() {
	if invariants.Enabled {
		invariants.Clobber(b.p)
	}
	if cap(b.p) > maxPooled {
		return
	}
	b.p = b.p[:0]
	buffers[classOf(cap(b.p))].Put(b)
}

// extend appends piece to b, which may be nil, and returns the buffer that holds it
// all. The old buffer is freed if the bytes moved. Capacity is at most twice what
// has arrived.
func (b *buffer) extend(piece []byte) *buffer {
	if b == nil {
		b = newBuffer(len(piece))
	}
	if need := len(b.p) + len(piece); need > cap(b.p) {
		b = b.move(max(need, 2*cap(b.p)))
	}
	b.p = append(b.p, piece...)
	return b
}

// move returns a buffer with room for n bytes that holds those of b, and frees b.
func (b *buffer) move(n int) *buffer {
	grown := newBuffer(n)
	grown.p = append(grown.p, b.p...)
	b.free()
	return grown
}

// classOf returns the smallest class with room for n bytes, for n up to maxPooled.
func classOf(n int) int {
	return bits.Len(uint(max(n, 1)-1) / minBuffer)
}
