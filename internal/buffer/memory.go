package buffer

import "unsafe"

// Memory is how many bytes of memory b keeps, whatever it holds.
func (b *Buffer) Memory() int { return int(unsafe.Sizeof(*b)) + cap(b.b) }

// MemoryFor is what Memory of a New buffer with room for n bytes is.
func MemoryFor(n int) int {
	if i := class(n); i < classes {
		n = smallest << i
	}
	return int(unsafe.Sizeof(Buffer{})) + n
}

// queueRef is a reference that is also counted as one of a queue.
const queueRef = 1<<32 | 1

// Hold is Retain for an outbound queue. It returns the memory that is kept by a queue
// from now on and was by none before: that of b for the first of many queues, else 0.
// So what all queues keep together is the sum of what Hold returned, less that of Drop.
func (b *Buffer) Hold() (added int) {
	if refs := b.retain(queueRef); refs>>32 == 1 {
		return b.Memory()
	}
	return 0
}

// Drop is Release for what Hold took. It returns the memory that no queue keeps any
// more.
func (b *Buffer) Drop() (freed int) {
	memory := b.Memory() // before: b may be somebody else's afterwards
	if left := b.release(queueRef); left>>32 == 0 {
		return memory
	}
	return 0
}
