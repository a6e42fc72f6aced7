package publish

import (
	"errors"

	"wsify/internal/wire"
)

// Manner is how a client wants its request to be answered.
type Manner struct {
	Persistent bool // the client keeps the connection open
	Old        bool // the client speaks HTTP/1.0
}

// MannerOf returns the Manner of req.
func MannerOf(req *wire.Request) Manner { return Manner{req.Persistent(), req.Minor == 0} }

// Body is the part of a request body that has arrived. The head was accepted before.
type Body struct {
	Length int64 // bytes; -1 for a chunked body
	Bytes  []byte
	chunks wire.Chunks
}

// Read takes the bytes of the body from in, which is borrowed, and returns the rest.
// It allocates only for bytes that have arrived. whole reports that the body is complete.
func (b *Body) Read(in []byte, r *Rules) (rest []byte, whole bool, no Refusal) {
	if b.Length >= 0 {
		n := min(int64(len(in)), b.Length-int64(len(b.Bytes)))
		b.Bytes = append(b.Bytes, in[:n]...)
		return in[n:], int64(len(b.Bytes)) == b.Length, Refusal{}
	}
	for {
		data, n, done, err := b.chunks.Next(in, r.MaxHeadSize)
		in = in[n:]
		var bad *wire.HandshakeError
		switch {
		case errors.As(err, &bad):
			return nil, false, Refusal{Malformed, bad.Status, "", bad.Detail}
		case len(b.Bytes)+len(data) > r.MaxMessageSize:
			return nil, false, tooLarge
		case len(data) == 0:
			return in, done, Refusal{}
		}
		b.Bytes = append(b.Bytes, data...)
	}
}
