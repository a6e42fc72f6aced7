package sse

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"wsify/internal/command"
)

// Heartbeat is a comment, which clients ignore. The blank line ends nothing, as no event
// has begun; some proxies wait for one.
const Heartbeat = ":\n\n"

// AppendEvent appends the event of a publication. id is its position, or empty. Without a
// channel the event has none.
func AppendEvent(dst []byte, id string, channel, content []byte) []byte {
	dst = append(AppendID(dst, id), inData...)
	from := len(dst)
	dst = command.AppendMessage(dst, channel, content)
	inOneLine(dst[from:])
	return append(dst, "}\n\n"...)
}

// EventSize is how many bytes most events have at most, for a channel and content of these
// sizes.
func EventSize(channel, content int) int { return 128 + channel + content }

// inOneLine replaces line ends, which would end the field. In JSON they are white space.
func inOneLine(p []byte) {
	for i, b := range p {
		if b == '\n' || b == '\r' {
			p[i] = ' '
		}
	}
}

// AppendID appends the field with the id of an event, unless it is empty.
func AppendID(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	dst = append(append(dst, inID...), id...)
	return append(dst, '\n')
}

const (
	inID     = "id: "
	inData   = "data: {"
	gapEvent = "event: gap\n"
)

// CutID returns the id of an event and the rest of it. It reports false if there is none.
func CutID(event []byte) (id, rest []byte, ok bool) {
	if rest, ok = bytes.CutPrefix(event, []byte(inID)); !ok {
		return nil, event, false
	}
	return bytes.Cut(rest, []byte("\n"))
}

// DataOf returns how the data of all events of a channel begins, publications and gaps.
func DataOf(channel string) []byte {
	return append(command.AppendChannel([]byte(inData), channel), ',')
}

// HasData reports whether the data of an event without its id begins with this.
func HasData(rest, data []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(rest, []byte(gapEvent)), data)
}

// AppendGap appends the event that says that publications of a channel were missed. position
// is where it goes on, id that of the whole stream.
func AppendGap(dst []byte, id, channel, position string) []byte {
	dst = append(append(AppendID(dst, id), gapEvent...), DataOf(channel)...)
	return append(append(append(dst, "\"position\":\""...), position...), "\"}\n\n"...)
}

// AppendJoined appends the event that says that a stream is a member of all its channels. back:
// it has come back, and got what it had missed, unless recovered is false.
func AppendJoined(dst []byte, id string, back, recovered bool) []byte {
	dst = append(AppendID(dst, id), "event: joined\ndata: {"...)
	if back {
		dst = strconv.AppendBool(append(dst, "\"recovered\":"...), recovered)
	}
	return append(dst, "}\n\n"...)
}

// AppendClose appends the last event of a stream: why the server ends it. If retry is not
// 0, the client reconnects after that time.
func AppendClose(dst []byte, code uint16, reason string, retry time.Duration) []byte {
	if retry > 0 {
		dst = appendRetry(dst, retry)
	}
	dst = strconv.AppendUint(append(dst, "event: close\ndata: {\"code\":"...), uint64(code), 10)
	text, _ := json.Marshal(reason) // no error: a string can be encoded
	dst = append(append(dst, ",\"reason\":"...), text...)
	return append(dst, "}\n\n"...)
}
