package wire

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// Deflater compresses messages. Several goroutines may use it at once. Writers of about
// 1 MiB are pooled: nothing is kept for a connection.
type Deflater struct {
	wide, narrow sync.Pool
}

// NewDeflater returns a Deflater with a level from 1, fastest, to 9, smallest.
func NewDeflater(level int) *Deflater {
	writers := func(newWriter func() (*flate.Writer, error)) func() any {
		return func() any {
			w, err := newWriter()
			if err != nil { // the level is not from 1 to 9
				panic(err)
			}
			return &deflating{w: w}
		}
	}
	d := new(Deflater)
	d.wide.New = writers(func() (*flate.Writer, error) { return flate.NewWriter(nil, level) })
	d.narrow.New = writers(func() (*flate.Writer, error) { return flate.NewWriterWindow(nil, 1<<minWindowBits) })
	return d
}

// deflating is a writer with the memory for what it writes.
type deflating struct {
	w   *flate.Writer
	out []byte
}

// Write appends p to what was written.
func (z *deflating) Write(p []byte) (int, error) {
	z.out = append(z.out, p...)
	return len(p), nil
}

// maxDeflated is how many bytes of compressed message a pooled writer keeps memory for.
const maxDeflated = 64 << 10

// Deflate compresses a message and calls use with the frame that holds it, unless that is
// not smaller than a plain one. The frame is borrowed until use returns. It can be sent to
// every client with an agreement, if narrow is set, and else to those whose agreement is
// not Narrow.
//
// A narrow frame has a window of 256 bytes, the smallest that can be agreed on, whatever the
// level.
func (d *Deflater) Deflate(op Opcode, payload []byte, narrow bool, use func(frame []byte)) {
	pool := &d.wide
	if narrow {
		pool = &d.narrow
	}
	z := pool.Get().(*deflating)
	defer pool.Put(z)
	const space = 10 // for the longest header
	z.out = append(z.out[:0], make([]byte, space)...)
	z.w.Reset(z)
	_, _ = z.w.Write(payload) // memory does not fail
	_ = z.w.Flush()
	packed := z.out[space : len(z.out)-4] // without 00 00 FF FF; RFC 7692, section 7.2.1
	if len(packed) < len(payload) {
		var head [space]byte
		header := AppendFrameHeader(head[:0], op, len(packed))
		header[0] |= bitRSV1
		at := space - len(header)
		copy(z.out[at:], header)
		use(z.out[at : space+len(packed)])
	}
	if cap(z.out) > maxDeflated {
		z.out = nil
	}
}
