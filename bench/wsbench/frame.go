//go:build linux

package main

import "encoding/binary"

// Opcodes; RFC 6455, section 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// maskKey masks what the generator sends. A constant will do: the mask protects
// proxies from pages in a browser (RFC 6455, section 10.3), and here is neither.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// clientFrame returns a final masked frame, owned by the caller.
func clientFrame(opcode byte, payload []byte) []byte {
	p := append(make([]byte, 0, len(payload)+14), 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		p = append(p, 0x80|byte(n))
	case n <= 0xffff:
		p = binary.BigEndian.AppendUint16(append(p, 0x80|126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, 0x80|127), uint64(n))
	}
	p = append(p, maskKey[:]...)
	for i, b := range payload {
		p = append(p, b^maskKey[i&3])
	}
	return p
}

// serverFrameSize is how many bytes a server needs to send n bytes of payload.
func serverFrameSize(n int) int {
	switch {
	case n < 126:
		return 2 + n
	case n <= 0xffff:
		return 4 + n
	}
	return 10 + n
}

// frames follows the frames in a stream of bytes from a server without keeping
// them. The zero value stands at the start of a frame.
type frames struct {
	left    int      // bytes of payload still to come
	size    int      // bytes of payload of the message so far
	head    [10]byte // header, as far as it has come
	headLen int
	inside  bool   // the header is complete
	kept    []byte // payload of a control frame, or of any with keep
	keep    bool
	skip    int             // bytes of a message before its content
	pos     int             // bytes of the message that have come
	stamp   [stampSize]byte // the first bytes of content
}

// event is the end of a frame.
type event struct {
	opcode  byte   // of a control frame; opText for the end of a data message
	size    int    // bytes of the message's payload
	payload []byte // of a control frame, or any with keep; borrowed until the next call
	stamp   []byte // of a data message, the first bytes of its content; borrowed until the next call
}

// next takes bytes off p until a message or control frame ends. It returns the
// bytes left; ok is false when p ran out first.
func (f *frames) next(p []byte) (rest []byte, e event, ok bool) {
	for {
		if !f.inside {
			if p = f.header(p); !f.inside {
				return p, e, false
			}
		}
		n := min(f.left, len(p))
		if f.keep || f.control() {
			f.kept = append(f.kept, p[:n]...)
		}
		if !f.control() {
			if f.pos < f.skip+stampSize {
				f.copyStamp(p[:n])
			}
			f.pos += n
		}
		f.left -= n
		p = p[n:]
		if f.left > 0 {
			return p, e, false
		}
		if e, ok = f.end(); ok {
			return p, e, true
		}
	}
}

// copyStamp takes what p, the next bytes of a message, has of the first bytes of
// its content.
func (f *frames) copyStamp(p []byte) {
	at := f.pos - f.skip
	if at < 0 {
		if len(p) <= -at {
			return
		}
		p, at = p[-at:], 0
	}
	copy(f.stamp[at:], p)
}

func (f *frames) control() bool { return f.head[0]&0x8 != 0 }

// header takes the bytes of a header off p; RFC 6455, section 5.2.
func (f *frames) header(p []byte) []byte {
	for len(p) > 0 {
		f.head[f.headLen] = p[0]
		f.headLen++
		p = p[1:]
		if f.headLen < 2 {
			continue
		}
		switch n := f.head[1] & 0x7f; {
		case n < 126:
			f.left = int(n)
		case n == 126 && f.headLen == 4:
			f.left = int(binary.BigEndian.Uint16(f.head[2:]))
		case n == 127 && f.headLen == 10:
			f.left = int(binary.BigEndian.Uint64(f.head[2:]))
		default:
			continue
		}
		f.inside = true
		if !f.control() {
			f.size += f.left
		}
		return p
	}
	return p
}

// end forgets the frame. It reports false for a fragment that others follow.
func (f *frames) end() (event, bool) {
	f.inside, f.headLen = false, 0
	if f.control() {
		e := event{opcode: f.head[0] & 0xf, payload: f.kept}
		f.kept = f.kept[:0]
		return e, true
	}
	if f.head[0]&0x80 == 0 {
		return event{}, false
	}
	e := event{opcode: opText, size: f.size, payload: f.kept, stamp: f.stamp[:]}
	f.size, f.pos, f.kept = 0, 0, f.kept[:0]
	return e, true
}
