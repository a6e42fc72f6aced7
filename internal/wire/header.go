package wire

import "github.com/gobwas/ws"

// maxHeader is the size in bytes of the longest header of a client frame: two
// bytes, a 64-bit length and the mask.
const maxHeader = 2 + 8 + 4

// header is the checked header of a client frame.
type header struct {
	op       Opcode
	fin      bool
	deflated bool // the message is compressed; only in its first frame
	mask     [4]byte
	length   int // payload bytes that follow; at most the room given to parseHeader
}

// parseHeader reads the header at the start of p and returns it with its size in
// bytes. When p ends inside the header, n is 0 and the bytes that arrived were
// checked. An error is found at the first byte that proves it, whatever follows
// that byte.
//
// open says that a fragmented message is in progress. room is how many bytes of
// payload it, or a new message, may still take; a compressed one may begin with some
// more. deflate says that messages may be compressed.
func parseHeader(p []byte, open, deflate bool, room uint64) (h header, n int, err *ProtocolError) {
	if len(p) == 0 {
		return h, 0, nil
	}
	h.op, h.fin = Opcode(p[0]&bitsOp), p[0]&bitFin != 0
	if p[0]&bitsRSV != 0 { // RFC 6455, section 5.2
		if !deflate || !beginsDeflated(p[0]) {
			return h, 0, errReservedBits
		}
		h.deflated, room = true, deflatedRoom(room)
	}
	if err = judgeFirst(h.op, h.fin, open); err != nil || len(p) == 1 {
		return h, 0, err
	}
	if p[1]&bitMask == 0 { // RFC 6455, section 5.1
		return h, 0, errNotMasked
	}
	length, at, err := parseLength(p[1:], h.op.IsControl(), room)
	if err != nil || at == 0 || len(p) < 1+at+4 {
		return h, 0, err
	}
	h.length = int(length)
	h.mask = [4]byte(p[1+at:])
	return h, 1 + at + 4, nil
}

// beginsDeflated reports whether b may be the first byte of a compressed message: RSV1
// alone, on the first frame of a data message; RFC 7692, section 6.1.
func beginsDeflated(b byte) bool {
	op := Opcode(b & bitsOp)
	return b&bitsRSV == bitRSV1 && (op == OpText || op == OpBinary)
}

// deflatedRoom is the most compressed bytes for which a message of room bytes is read.
// The worst encoder of content that does not shrink uses the fixed codes, of 9 bits each.
func deflatedRoom(room uint64) uint64 { return room + room/8 + 64 }

// judgeFirst checks the opcode of a frame and whether it may be fragmented.
func judgeFirst(op Opcode, fin, open bool) *ProtocolError {
	switch {
	case op.IsReserved(): // RFC 6455, section 5.2
		return errReservedOpcode
	case op.IsControl():
		if !fin { // RFC 6455, section 5.5
			return errControlFragment
		}
	case op == ws.OpContinuation:
		if !open { // RFC 6455, section 5.4
			return errNothingContinued
		}
	case open: // RFC 6455, section 5.4
		return errMessageOpen
	}
	return nil
}

// parseLength reads the payload length at p[0], the byte with the mask bit. n is
// how many bytes it took, 0 when p ends too early.
func parseLength(p []byte, control bool, room uint64) (length uint64, n int, err *ProtocolError) {
	length = uint64(p[0] & bitsLen)
	switch {
	case length <= maxInline:
		if !control && length > room {
			return 0, 0, errTooBig
		}
		return length, 1, nil
	case control: // RFC 6455, section 5.5
		return 0, 0, errControlTooLong
	case length == len16:
		return parseExtended(p[1:], 2, room)
	default:
		return parseExtended(p[1:], 8, room)
	}
}

// parseExtended reads a length of width bytes, 2 or 8, at the start of p. If bytes
// are missing, it checks the smallest length that is still possible. n includes the
// marker byte before p.
func parseExtended(p []byte, width int, room uint64) (length uint64, n int, err *ProtocolError) {
	got := min(len(p), width)
	for _, b := range p[:got] {
		length = length<<8 | uint64(b)
	}
	if width == 8 && got > 0 && p[0]&0x80 != 0 { // RFC 6455, section 5.2
		return 0, 0, errLengthSign
	}
	if tooShort(length, got, width) { // RFC 6455, section 5.2
		return 0, 0, errLengthForm
	}
	if length<<(8*(width-got)) > room {
		return 0, 0, errTooBig
	}
	if got < width {
		return 0, 0, nil
	}
	return length, 1 + width, nil
}

// tooShort reports whether a length should have a shorter form. The first got of
// its width bytes have arrived. A 64-bit length should as soon as its six upper
// bytes are known to be zero.
func tooShort(length uint64, got, width int) bool {
	if width == 2 {
		return got == 2 && length <= maxInline
	}
	return got >= 6 && length>>(8*(got-6)) == 0
}
