package wire

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// Deflater compresses messages. Several goroutines may use it at once. Writers of about
// 1 MiB are pooled: nothing is kept for a connection.
type Deflater struct {
	minSize      int
	wide, narrow sync.Pool
}

// NewDeflater returns a Deflater with a level from 1, fastest, to 9, smallest, for messages
// of at least minSize bytes.
func NewDeflater(level, minSize int) *Deflater {
	writers := func(newWriter func() (*flate.Writer, error)) func() any {
		return func() any {
			w, err := newWriter()
			if err != nil { // the level is not from 1 to 9
				panic(err)
			}
			return &deflating{w: w}
		}
	}
	d := &Deflater{minSize: minSize}
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

// Deflate compresses a message and calls use with the frame that holds it, unless it is
// not worth it: the message has less than the minimal size, or does not shrink. plain is a
// frame of [AppendFrame]. The other one is borrowed until use returns. It can be sent to
// every client with an agreement, if narrow is set, and else to those whose agreement is
// not Narrow.
//
// A narrow frame has a window of 256 bytes, the smallest that can be agreed on, whatever the
// level.
func (d *Deflater) Deflate(plain []byte, narrow bool, use func(frame []byte)) {
	payload := plain[headerSize(plain):]
	if len(payload) < d.minSize {
		return
	}
	pool := &d.wide
	if narrow {
		pool = &d.narrow
	}
	z := pool.Get().(*deflating)
	defer pool.Put(z)
	if z.run(payload); len(z.out)-MaxHeader-len(flushMark) < len(payload) {
		use(z.frame(plain[0] | bitRSV1))
	}
	if cap(z.out) > maxDeflated {
		z.out = nil
	}
}

// flushMark ends what a writer has flushed. It is not sent; RFC 7692, section 7.2.1.
const flushMark = "\x00\x00\xff\xff"

// run compresses payload into out, behind room for a header.
func (z *deflating) run(payload []byte) {
	var room [MaxHeader]byte
	z.out = append(z.out[:0], room[:]...)
	z.w.Reset(z)
	_, _ = z.w.Write(payload) // memory does not fail
	_ = z.w.Flush()
}

// frame puts a header before what was compressed, and returns both.
func (z *deflating) frame(first byte) []byte {
	packed := z.out[MaxHeader : len(z.out)-len(flushMark)]
	var head [MaxHeader]byte
	header := AppendFrameHeader(head[:0], 0, len(packed))
	header[0] = first
	at := MaxHeader - len(header)
	copy(z.out[at:], header)
	return z.out[at : MaxHeader+len(packed)]
}
