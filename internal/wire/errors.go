package wire

import "strconv"

// ProtocolError is a violation of RFC 6455 by the peer. Code is for our Close
// frame. Detail says which rule was broken and never contains bytes of the peer.
//
// All instances are shared, read-only variables of this package, so that a
// misbehaving peer causes no allocation.
type ProtocolError struct {
	Code   CloseCode
	Detail string
}

// Error returns the code and the detail.
func (e *ProtocolError) Error() string {
	return "websocket: " + strconv.Itoa(int(e.Code)) + " " + e.Detail
}

// Errors in a frame header; RFC 6455, sections 5.1, 5.2, 5.4 and 5.5.
var (
	errReservedBits     = &ProtocolError{ProtocolViolation, "reserved bit set without an extension"}
	errReservedOpcode   = &ProtocolError{ProtocolViolation, "reserved opcode"}
	errControlFragment  = &ProtocolError{ProtocolViolation, "fragmented control frame"}
	errControlTooLong   = &ProtocolError{ProtocolViolation, "control frame payload over 125 bytes"}
	errNothingContinued = &ProtocolError{ProtocolViolation, "continuation frame without a message to continue"}
	errMessageOpen      = &ProtocolError{ProtocolViolation, "new message inside a fragmented message"}
	errNotMasked        = &ProtocolError{ProtocolViolation, "client frame without a mask"}
	errLengthSign       = &ProtocolError{ProtocolViolation, "64-bit payload length with the top bit set"}
	errLengthForm       = &ProtocolError{ProtocolViolation, "payload length not in its shortest form"}
	errTooBig           = &ProtocolError{TooBig, "message over the size limit"}
)

// Errors in a payload; RFC 6455, sections 5.5.1, 7.4 and 8.1, and RFC 7692, section 7.2.2.
var (
	errDeflate     = &ProtocolError{InvalidPayload, "message does not inflate"}
	errText        = &ProtocolError{InvalidPayload, "text message is not valid UTF-8"}
	errCloseShort  = &ProtocolError{ProtocolViolation, "close frame with a payload of one byte"}
	errCloseCode   = &ProtocolError{ProtocolViolation, "close code that may not be sent"}
	errCloseReason = &ProtocolError{InvalidPayload, "close reason is not valid UTF-8"}
)
