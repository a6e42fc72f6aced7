package sse

import (
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
	dst = appendID(dst, id)
	dst = append(dst, "data: {"...)
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

func appendID(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	dst = append(append(dst, "id: "...), id...)
	return append(dst, '\n')
}

// AppendGap appends the event that says that publications of a channel were missed. position
// is where it goes on, id that of the whole stream.
func AppendGap(dst []byte, id, channel, position string) []byte {
	data, _ := json.Marshal(struct { // no error: strings can be encoded
		Channel  string `json:"channel"`
		Position string `json:"position"`
	}{channel, position})
	dst = append(appendID(dst, id), "event: gap\ndata: "...)
	return append(append(dst, data...), "\n\n"...)
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
