package wire

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflateTail is put behind the compressed bytes of a message. The first four bytes
// complete the empty block that the sender has cut off (RFC 7692, section 7.2.2). The
// others are an empty last block, so that an inflater knows the end.
var deflateTail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

// inflater is a pooled flate reader; it takes about 36 KiB.
type inflater struct {
	in    bytes.Reader
	flate io.Reader
	one   [1]byte // there must be no byte beyond the limit
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.flate = flate.NewReader(&f.in)
	return f
}}

// inflate inflates p, which ends with deflateTail, into a buffer that the caller owns. It
// stops when there are more than limit bytes.
//
// A sender may end with a last block, and an empty one behind it (RFC 7692, section
// 7.2.3.4), or nothing.
func inflate(p []byte, limit int) (*buffer, *ProtocolError) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.in.Reset(p)
	out := newBuffer(min(2*len(p), max(limit, 0)))
	for {
		_ = f.flate.(flate.Resetter).Reset(&f.in, nil) // it fails only for a broken dictionary
		var bad *ProtocolError
		if out, bad = f.stream(out, limit); bad != nil {
			out.free()
			return nil, bad
		}
		if left := f.in.Len(); left == 0 || left == len(deflateTail) {
			return out, nil
		}
	}
}

// stream inflates up to the end of a last block. It returns the buffer that holds out and
// what was inflated.
func (f *inflater) stream(out *buffer, limit int) (*buffer, *ProtocolError) {
	for {
		free := f.one[:]
		if len(out.p) < limit {
			if len(out.p) == cap(out.p) {
				out = out.move(min(2*cap(out.p), limit))
			}
			free = out.p[len(out.p):min(cap(out.p), limit)]
		}
		n, err := f.flate.Read(free)
		if len(out.p)+n > limit {
			return out, errTooBig
		}
		out.p = out.p[:len(out.p)+n]
		if err == io.EOF {
			return out, nil
		} else if err != nil {
			return out, errDeflate
		}
	}
}
