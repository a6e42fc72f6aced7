package wire

import (
	"net/http"
	"strconv"
)

// AppendResponse appends a complete HTTP/1.1 response to dst, for a refusal: the
// status with its standard phrase, a plain text body, and the announcement that
// the connection closes. extraHeaders is empty, or raw header lines that each end
// with CR LF; they are not checked and must not hold bytes of the peer.
func AppendResponse(dst []byte, status int, extraHeaders string, body string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\nConnection: close\r\n"...)
	dst = append(dst, extraHeaders...)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}
