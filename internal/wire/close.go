package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// CloseCode is the 16-bit status in a Close frame; RFC 6455, section 7.4.
type CloseCode uint16

// The registered codes, and those wsify defines for itself in 4000 to 4999.
const (
	Normal             CloseCode = 1000 // the purpose is fulfilled
	GoingAway          CloseCode = 1001 // the endpoint shuts down
	ProtocolViolation  CloseCode = 1002 // RFC 6455 was broken
	Unsupported        CloseCode = 1003 // a type of message that is not accepted
	NoStatus           CloseCode = 1005 // never sent: the Close frame held no code
	Abnormal           CloseCode = 1006 // never sent: the connection ended without a Close frame
	InvalidPayload     CloseCode = 1007 // text that is not UTF-8
	PolicyViolation    CloseCode = 1008 // a limit or rule of the server
	TooBig             CloseCode = 1009 // a message over the size limit
	MandatoryExtension CloseCode = 1010 // sent by clients: an extension was not negotiated
	Internal           CloseCode = 1011 // an unexpected condition in the server
	ServiceRestart     CloseCode = 1012 // this node restarts: reconnect now, with jitter
	TryAgainLater      CloseCode = 1013 // overloaded, or the authorizer is down: back off first
	BadGateway         CloseCode = 1014 // a gateway got an invalid answer from its server
	TLSFailure         CloseCode = 1015 // never sent: the TLS handshake failed

	SlowConsumer   CloseCode = 4001 // the outbound queue passed its high-water mark
	NoPong         CloseCode = 4002 // a ping was not answered in time
	Kicked         CloseCode = 4003 // closed by the operator: do not reconnect
	SessionExpired CloseCode = 4004 // the authorizer's time for it is over: get a new token, reconnect
	RateLimited    CloseCode = 4029 // too many commands a second
)

// maxCloseReason is the size that a control frame leaves for the reason after the
// code; RFC 6455, section 5.5.
const maxCloseReason = maxControl - 2

// AppendClose appends a Close frame with code and reason to dst. The reason is
// cut to 123 bytes at a rune boundary, and at the first byte that is not UTF-8.
//
// Code 0, and the codes that are never sent (1005, 1006 and 1015), give a frame
// with an empty payload and no reason. So a code from [ParseClose] can be echoed as
// it is.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == 0 || code == NoStatus || code == Abnormal || code == TLSFailure {
		return AppendFrameHeader(dst, OpClose, 0)
	}
	reason = reason[:reasonEnd(reason)]
	dst = AppendFrameHeader(dst, OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// reasonEnd returns the size in bytes of the longest prefix of reason that may be sent.
func reasonEnd(reason string) int {
	end := 0
	for end < len(reason) {
		r, size := utf8.DecodeRuneInString(reason[end:])
		if r == utf8.RuneError && size == 1 || end+size > maxCloseReason {
			break
		}
		end += size
	}
	return end
}

// ParseClose reads the payload of a Close frame; RFC 6455, section 5.5.1. An
// empty payload is NoStatus. The reason is borrowed from payload.
//
// Any error is a [*ProtocolError], and code is then the error's code, to be sent in
// the answer. A payload of one byte and a code outside 1000-1003, 1007-1014 and
// 3000-4999 are a ProtocolViolation, a reason that is not UTF-8 is an
// InvalidPayload.
func ParseClose(payload []byte) (code CloseCode, reason []byte, err error) {
	if len(payload) == 0 {
		return NoStatus, nil, nil
	}
	if len(payload) == 1 {
		return errCloseShort.Code, nil, errCloseShort
	}
	code = CloseCode(binary.BigEndian.Uint16(payload))
	if !code.mayBeSent() {
		return errCloseCode.Code, nil, errCloseCode
	}
	reason = payload[2:]
	if !utf8.Valid(reason) {
		return errCloseReason.Code, nil, errCloseReason
	}
	return code, reason, nil
}

// mayBeSent reports whether a Close frame may contain c: RFC 6455, section 7.4, and
// the codes 1012 to 1014 that IANA registered later.
func (c CloseCode) mayBeSent() bool {
	switch {
	case c >= 1000 && c <= 1003:
		return true
	case c >= 1007 && c <= 1014:
		return true
	default:
		return c >= 3000 && c <= 4999
	}
}
