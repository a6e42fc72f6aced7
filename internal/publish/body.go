package publish

import (
	"bytes"
	"errors"

	"wsify/internal/wire"
)

// Manner is how a client wants its request to be read and answered.
type Manner struct {
	Persistent bool   // the client keeps the connection open
	Old        bool   // the client speaks HTTP/1.0
	Lines      bool   // the body has one publication a line
	Reply      bool   // the answer to a single publication says what became of it
	Key        string // of Idempotency-Key; empty for none
}

// MannerOf returns the Manner of req. Judge has accepted it, or it has no body.
func MannerOf(req *wire.Request) Manner {
	m := Manner{Persistent: req.Persistent(), Old: req.Minor == 0, Reply: string(parameter(req.RawQuery, "reply")) == "1"}
	for name, value := range req.Headers {
		switch len(name) {
		case len("Content-Type"):
			m.Lines = m.Lines || bytes.EqualFold(name, []byte("Content-Type")) && len(value) >= len(lines) && bytes.EqualFold(value[:len(lines)], []byte(lines))
		case len(keyHeader):
			if bytes.EqualFold(name, []byte(keyHeader)) {
				m.Key, _ = parseIdempotencyKey(value)
			}
		}
	}
	return m
}

// Plain reports whether a single publication to one channel is answered with its status alone.
func (m *Manner) Plain() bool { return !m.Lines && !m.Reply && m.Key == "" }

// Body is the part of a request body that has arrived. The head was accepted before.
type Body struct {
	Length int64 // bytes; -1 for a chunked body
	Lines  bool  // of its Manner
	Bytes  []byte
	chunks wire.Chunks
}

// Read takes the bytes of the body from in, which is borrowed, and returns the rest.
// It allocates only for bytes that have arrived. whole reports that the body is complete.
func (b *Body) Read(in []byte, r *Rules) (rest []byte, whole bool, no Refusal) {
	if b.Length >= 0 {
		n := min(int64(len(in)), b.Length-int64(len(b.Bytes)))
		b.Bytes = append(b.Bytes, in[:n]...)
		return in[n:], int64(len(b.Bytes)) == b.Length, b.Fits(b.Bytes, r)
	}
	for {
		data, n, done, err := b.chunks.Next(in, r.MaxHeadSize)
		in = in[n:]
		var bad *wire.HandshakeError
		switch {
		case errors.As(err, &bad):
			return nil, false, Refusal{Malformed, bad.Status, "", bad.Detail}
		case len(data) == 0:
			return in, done, Refusal{}
		}
		b.Bytes = append(b.Bytes, data...)
		if no := b.Fits(b.Bytes, r); no.Status != 0 {
			return nil, false, no
		}
	}
}

// Fits refuses a body that is too large, as soon as its kind is known: the first byte of bytes, the
// part that has arrived, tells a batch from a single publication. White space before it has the bound
// of a single publication.
func (b *Body) Fits(bytes []byte, r *Rules) Refusal {
	size := max(b.Length, int64(len(bytes)))
	if size <= int64(min(r.MaxMessageSize, MaxBatchBytes)) {
		return Refusal{}
	}
	kind := first(bytes[:min(len(bytes), r.MaxMessageSize+1)])
	switch batch := b.Lines || kind == '['; {
	case batch && size > MaxBatchBytes:
		return batchSize
	case batch:
		return Refusal{}
	case kind == 0: // white space, so far
		size = int64(len(bytes))
	}
	if size > int64(r.MaxMessageSize) {
		return tooLarge
	}
	return Refusal{}
}
