package live

import (
	"encoding/json"
	"math"
	"strconv"
)

// encodePoint returns the event for a new point.
func encodePoint(p Point, n Notes) []byte {
	event := append([]byte(nil), `data: {"point":`...)
	event = appendPoint(event, p)
	event = append(event, `,"notes":`...)
	return append(appendJSON(event, n), "}\n\n"...)
}

// encodeHistoryLocked returns the first event of a stream: what the values of a point are, and all
// points.
func (b *Board) encodeHistoryLocked() []byte {
	event := append(make([]byte, 0, 64+b.points.Len()*8*len(b.names)), "event: history\ndata: {\"version\":"...)
	event = appendJSON(event, b.version)
	event = append(event, `,"names":`...)
	event = appendJSON(event, b.names)
	event = append(event, `,"points":[`...)
	for i := range b.points.Len() {
		if i > 0 {
			event = append(event, ',')
		}
		event = appendPoint(event, *b.points.At(i))
	}
	return append(event, "]}\n\n"...)
}

// appendPoint appends a list: the time in milliseconds since 1970, and the values.
func appendPoint(dst []byte, p Point) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, p.At.UnixMilli(), 10)
	for _, v := range p.Values {
		dst = append(dst, ',')
		if v != v || math.IsInf(float64(v), 0) { // JSON has no such numbers
			dst = append(dst, "null"...)
		} else {
			dst = strconv.AppendFloat(dst, float64(v), 'g', -1, 32)
		}
	}
	return append(dst, ']')
}

func appendJSON(dst []byte, v any) []byte {
	text, _ := json.Marshal(v) // no error: strings and structs of them
	return append(dst, text...)
}
