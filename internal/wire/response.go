package wire

import (
	"net/http"
	"strconv"
)

// AppendResponse appends a complete HTTP/1.1 response to dst, for a refusal: the
// status with its standard phrase, a plain text body, and "Connection: close".
// extraHeaders is empty, or raw header lines that each end with CR LF. They are not
// checked and must not contain bytes of the peer.
func AppendResponse(dst []byte, status int, extraHeaders string, body string) []byte {
	dst = AppendResponseHead(dst, status, PlainText, len(body))
	dst = append(dst, "Connection: close\r\n"...)
	dst = append(dst, extraHeaders...)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

// Media types of bodies.
const (
	PlainText = "text/plain; charset=utf-8"
	JSON      = "application/json"
)

// AppendResponseHead appends the status line of a response and the headers of a body of this
// media type and length in bytes. Without a body it appends only Content-Length, and with 204 not
// even that; RFC 9110, section 8.6. Further header lines and a blank line have to follow.
func AppendResponseHead(dst []byte, status int, kind string, length int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	if status == http.StatusNoContent {
		return dst
	}
	if length > 0 {
		dst = append(append(append(dst, "Content-Type: "...), kind...), "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	return append(dst, "\r\n"...)
}
