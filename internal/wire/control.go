package wire

import (
	"math"

	"github.com/gobwas/ws"
)

// Control is a ping or a pong among frames that are not read yet.
type Control struct {
	Op         Opcode
	Payload    []byte // unmasked in place, borrowed
	Start, End int    // where its frame is
}

// FindControl looks for the first whole ping or pong in p, the frames of a client that
// wait to be read. from is 0, or what an earlier call returned as next; what was before
// it may have been cut off p meanwhile. Data frames are skipped unread, and nothing is
// looked for behind a Close frame or a breach of the protocol, which Reader will meet.
func FindControl(p []byte, from int) (c Control, next int, ok bool) {
	for from < len(p) {
		continued := p[from]&bitsOp == byte(ws.OpContinuation)
		h, n, bad := parseHeader(p[from:], continued, math.MaxInt64-maxHeader)
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

// end is where a frame ends. A length that cannot be is far away, too.
func end(from, header, length int) int {
	if length > math.MaxInt-from-header {
		return math.MaxInt
	}
	return from + header + length
}
