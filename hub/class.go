package hub

import (
	"iter"
	"math/bits"

	"wsify/internal/buffer"
)

// Class is how the messages to a connection are encoded. A connection keeps its class
// for life. The hub only keeps classes apart: it knows no encoding.
type Class uint8

// The classes.
const (
	Raw              Class = iota // bare content, as WebSocket messages
	Envelope                      // objects with a type, as WebSocket messages
	Stream                        // server-sent events
	RawDeflated                   // Raw, compressed
	EnvelopeDeflated              // Envelope, compressed
	Streams                       // server-sent events of several channels that keep history
	RawNarrow                     // RawDeflated, for clients with a small window
	EnvelopeNarrow                // EnvelopeDeflated, likewise
	NumClasses       = iota
)

// Classes is a set of classes.
type Classes uint8

// Add adds a class.
func (s *Classes) Add(c Class) { *s |= 1 << c }

// Has reports whether c is in the set.
func (s Classes) Has(c Class) bool { return s&(1<<c) != 0 }

// Each yields the classes of the set.
func (s Classes) Each() iter.Seq[Class] {
	return func(yield func(Class) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(Class(bits.TrailingZeros8(uint8(s)))) {
				return
			}
		}
	}
}

// Frames are the encoded forms of one publication, by class. Each holds the same
// messages. Classes may share a buffer; then each has a reference of its own. A class
// that is not encoded is nil.
type Frames [NumClasses]*buffer.Buffer

// Release gives back the caller's references.
func (f *Frames) Release() {
	for i, b := range f {
		if b != nil {
			b.Release()
			f[i] = nil
		}
	}
}

// key names a part within its channel: the loop, and the class in the lowest bits.
type key int16

const classBits = 3

const (
	_ = uint(1<<classBits - NumClasses)       // a key has room for every class
	_ = uint(1<<15 - 1 - maxLoops<<classBits) // and for every loop
	_ = uint(8 - NumClasses)                  // a set has a bit for every class
)

// noKey marks the first part while nothing has taken it.
const noKey key = -1

func keyOf(loop int, c Class) key { return key(loop<<classBits | int(c)) }

func (k key) loop() int { return int(k >> classBits) }

func (k key) class() Class { return Class(k & (1<<classBits - 1)) }
