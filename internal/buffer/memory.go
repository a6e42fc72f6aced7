package buffer

import "unsafe"

// Memory returns how many bytes of memory b keeps, whatever it contains.
func (b *Buffer) Memory() int {
	n := int(unsafe.Sizeof(*b)) + cap(b.b)
	if b.holes != nil {
		n += b.holes.size
	}
	return n
}

// MemoryFor returns the Memory of a New buffer with room for n bytes.
func MemoryFor(n int) int {
	if i := class(n); i < classes {
		n = smallest << i
	}
	return int(unsafe.Sizeof(Buffer{})) + n
}

// queueRef is a reference that is also counted as a queue's.
const queueRef = 1<<32 | 1

// Hold is Retain for an outbound queue. It returns the memory that this adds to what
// all queues keep: that of b for the first of many queues, else 0. The total is thus
// the sum of what Hold returned, minus the sum of what Drop returned.
func (b *Buffer) Hold() (added int) {
	if refs := b.retain(queueRef); refs>>32 == 1 {
		return b.Memory()
	}
	return 0
}

// Drop is Release for a reference from Hold. It returns the memory that no queue
// keeps any longer.
func (b *Buffer) Drop() (freed int) {
	memory := b.Memory() // before the release, after which b may have another user
	if left := b.release(queueRef); left>>32 == 0 {
		return memory
	}
	return 0
}
