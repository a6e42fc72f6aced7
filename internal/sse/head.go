package sse

import (
	"strconv"
	"time"
)

// Preflight are the headers of the answer to OPTIONS, besides those of CORS. EventSource
// sends no header that needs them; scripts that read a stream with fetch do.
const Preflight = "Access-Control-Allow-Methods: GET\r\n" +
	"Access-Control-Allow-Headers: Authorization, Cache-Control, Last-Event-ID\r\nAccess-Control-Max-Age: 86400\r\n"

// CORS returns the headers that let a page of an allowed origin read an answer, also with
// cookies. Without an origin the answer is for no page. origin is the value of a header, so
// it ends no line.
func CORS(origin []byte) string {
	const vary = "Vary: Origin\r\n"
	if origin == nil {
		return vary
	}
	return "Access-Control-Allow-Origin: " + string(origin) + "\r\nAccess-Control-Allow-Credentials: true\r\n" +
		"Access-Control-Expose-Headers: Retry-After\r\n" + vary
}

// AppendHead appends the head of a stream and its first line: after which time the client
// reconnects. headers are more header lines. X-Accel-Buffering makes nginx pass each event
// on at once.
func AppendHead(dst []byte, headers string, date []byte, retry time.Duration) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"+
		"X-Accel-Buffering: no\r\nConnection: close\r\n"...)
	dst = append(append(dst, date...), headers...)
	return append(appendRetry(append(dst, "\r\n"...), retry), '\n')
}

func appendRetry(dst []byte, d time.Duration) []byte {
	dst = strconv.AppendInt(append(dst, "retry: "...), d.Milliseconds(), 10)
	return append(dst, '\n')
}
