package wire

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"wsify/internal/invariants"
)

// Opcode is the kind of a frame; RFC 6455, section 5.2.
type Opcode = ws.OpCode

// The opcodes an [Event] can have and a server sends. Continuation frames are
// assembled inside the package.
const (
	OpText   = ws.OpText
	OpBinary = ws.OpBinary
	OpClose  = ws.OpClose
	OpPing   = ws.OpPing
	OpPong   = ws.OpPong
)

// Bits and markers of the first two bytes of a frame; RFC 6455, section 5.2.
const (
	bitFin    = 0x80
	bitsRSV   = 0x70
	bitRSV1   = 0x40
	bitsOp    = 0x0f
	bitMask   = 0x80
	bitsLen   = 0x7f
	len16     = 126 // the next 2 bytes are the payload length
	len64     = 127 // the next 8 bytes are the payload length
	maxLen16  = 1<<16 - 1
	maxInline = 125

	maxControl = ws.MaxControlFramePayloadSize
)

// FrameSize is the size in bytes of a server frame with a payload of n bytes.
func FrameSize(n int) int {
	switch {
	case n <= maxInline:
		return 2 + n
	case n <= maxLen16:
		return 4 + n
	default:
		return 10 + n
	}
}

// headerSize returns the size in bytes of the header of a server frame.
func headerSize(frame []byte) int {
	switch frame[1] {
	case len16:
		return 2 + 2
	case len64:
		return 2 + 8
	default:
		return 2
	}
}

// AppendFrameHeader appends the header of one unmasked final frame to dst. The
// caller then appends the payload of n bytes. A control frame holds at most 125
// bytes; RFC 6455, section 5.5.
func AppendFrameHeader(dst []byte, op Opcode, n int) []byte {
	if invariants.Enabled && op.IsControl() && n > maxControl {
		panic("wire: control frame payload over 125 bytes")
	}
	first := bitFin | byte(op)
	switch {
	case n <= maxInline:
		return append(dst, first, byte(n))
	case n <= maxLen16:
		return append(dst, first, len16, byte(n>>8), byte(n))
	default:
		dst = append(dst, first, len64)
		return binary.BigEndian.AppendUint64(dst, uint64(n))
	}
}

// MaxHeader is the size in bytes of the longest header of a server frame.
const MaxHeader = 2 + 8

// FrameInPlace makes one unmasked final frame in the memory of p, which holds MaxHeader
// bytes of room and then the payload. So a payload whose size is not known before can be
// appended where it is sent from.
func FrameInPlace(p []byte, op Opcode) []byte {
	return append(AppendFrameHeader(p[:0], op, len(p)-MaxHeader), p[MaxHeader:]...)
}

// AppendFrame appends one unmasked final frame to dst: a whole message, or a
// control frame with at most 125 bytes of payload. It allocates only when dst has
// capacity for less than FrameSize(len(payload)) more bytes.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendFrameHeader(dst, op, len(payload)), payload...)
}
