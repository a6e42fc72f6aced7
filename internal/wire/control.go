package wire

import (
	"math"

	"github.com/gobwas/ws"
)

// Control is a ping or a pong among unread frames.
type Control struct {
	Op         Opcode
	Payload    []byte // unmasked in place, borrowed
	Start, End int    // position of its frame
}

// FindControl looks for the first whole ping or pong in p, the unread frames of a
// client. from is 0, or the next of an earlier call; the caller may have cut bytes
// before it off p since. Data frames are skipped without reading their payload. The
// search stops at a Close frame or a protocol violation, which Reader will report. deflate
// is the Deflate of that Reader.
func FindControl(p []byte, from int, deflate bool) (c Control, next int, ok bool) {
	for from < len(p) {
		continued := p[from]&bitsOp == byte(ws.OpContinuation)
		h, n, bad := parseHeader(p[from:], continued, deflate, math.MaxInt64/2-maxHeader)
		switch {
		case bad != nil || h.op == ws.OpClose:
			return Control{}, math.MaxInt, false
		case n == 0:
			return Control{}, from, false
		case !h.op.IsControl():
			from = end(from, n, h.length)
			continue
		case len(p) < from+n+h.length:
			return Control{}, from, false
		}
		payload := p[from+n : from+n+h.length]
		ws.Cipher(payload, h.mask, 0)
		return Control{h.op, payload, from, from + n + h.length}, from, true
	}
	return Control{}, from, false
}

// end returns where a frame ends. An impossible length gives the largest int.
func end(from, header, length int) int {
	if length > math.MaxInt-from-header {
		return math.MaxInt
	}
	return from + header + length
}
