package wire

import "strconv"

// HandshakeError is a refusal of a request head. Status is the HTTP status of the
// answer. Detail says which rule was broken. It never contains bytes of the peer,
// so it may be the body of the answer.
//
// All instances are shared, read-only variables of this package.
type HandshakeError struct {
	Status int
	Detail string
}

// Error returns the status and the detail.
func (e *HandshakeError) Error() string {
	return "handshake: " + strconv.Itoa(e.Status) + " " + e.Detail
}

// ExtraHeaders returns raw header lines for the answer, for [AppendResponse]. RFC
// 9110, section 15.5.22, and RFC 6455, section 4.4, require that a 426 names the
// protocol and its version. Other statuses need none.
func (e *HandshakeError) ExtraHeaders() string {
	if e.Status != 426 {
		return ""
	}
	return "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
}

// Errors in a request head; RFC 9112, sections 2 to 6.
var (
	errHeadCut           = &HandshakeError{400, "request head does not end with one blank line"}
	errLineEnd           = &HandshakeError{400, "line does not end with CR LF"}
	errRequestLine       = &HandshakeError{400, "malformed request line"}
	errMethod            = &HandshakeError{400, "malformed method"}
	errTarget            = &HandshakeError{400, "malformed request target"}
	errVersion           = &HandshakeError{505, "HTTP version is not 1.0 or 1.1"}
	errFieldName         = &HandshakeError{400, "malformed header name"}
	errFieldValue        = &HandshakeError{400, "control character in a header value"}
	errFold              = &HandshakeError{400, "folded header line"}
	errHostMissing       = &HandshakeError{400, "no Host header"}
	errHostTwice         = &HandshakeError{400, "more than one Host header"}
	errHost              = &HandshakeError{400, "malformed Host header"}
	errOriginTwice       = &HandshakeError{400, "more than one Origin header"}
	errContentLength     = &HandshakeError{400, "malformed or repeated Content-Length header"}
	errTransferEncoding  = &HandshakeError{400, "Transfer-Encoding header repeated, beside Content-Length, or in HTTP/1.0"}
	errUnknownTransfer   = &HandshakeError{501, "transfer coding is not chunked"}
	errChunk             = &HandshakeError{400, "malformed chunk of a body"}
	errTrailersTooBig    = &HandshakeError{431, "chunk extensions and trailers are larger than a head may be"}
	errForbiddenTrailers = &HandshakeError{400, "Trailer header names a framing header"}
)

// Errors in an upgrade beyond its head; RFC 6455, section 4.2.1.
var (
	errUpgradeMethod  = &HandshakeError{405, "upgrade with a method other than GET"}
	errUpgradeVersion = &HandshakeError{505, "upgrade needs HTTP/1.1"}
	errNotUpgrade     = &HandshakeError{426, "not a WebSocket upgrade"}
	errUpgradeBody    = &HandshakeError{400, "upgrade with a request body"}
	errVersionTwice   = &HandshakeError{400, "more than one Sec-WebSocket-Version header"}
	errOldVersion     = &HandshakeError{426, "WebSocket version is not 13"}
	errKeyMissing     = &HandshakeError{400, "no Sec-WebSocket-Key header"}
	errKeyTwice       = &HandshakeError{400, "more than one Sec-WebSocket-Key header"}
	errKey            = &HandshakeError{400, "Sec-WebSocket-Key is not 16 bytes in base64"}
	errUpgrader       = &HandshakeError{400, "upgrade refused"}
)
