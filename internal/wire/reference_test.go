package wire

import (
	"fmt"
	"strings"
	"testing"
)

// refFrame is a frame as the reference decoder sees it.
type refFrame struct {
	first   byte
	payload []byte
	verdict CloseCode // not 0 when the header is refused
}

// reference decodes a whole stream in the simplest way, without code of the
// package: frame by frame, with indexes into the stream. complete is false when the
// stream ends inside a frame.
func reference(p []byte, maxMessage int) (transcript []string, complete bool) {
	var message []byte
	kind := byte(0)
	for len(p) > 0 {
		f, size := refCut(p, kind != 0, maxMessage-len(message))
		if f.verdict != 0 {
			return append(transcript, fmt.Sprintf("error %d", f.verdict)), true
		}
		if size == 0 {
			return transcript, false
		}
		p = p[size:]
		op, fin := f.first%16, f.first >= 128
		if op >= 8 {
			transcript = append(transcript, event(Opcode(op), string(f.payload)))
			continue
		}
		if op != 0 {
			kind = op
		}
		message = append(message, f.payload...)
		if ok, whole := refText(message); kind == 1 && (!ok || fin && !whole) {
			return append(transcript, "error 1007"), true
		}
		if fin {
			transcript = append(transcript, event(Opcode(kind), string(message)))
			message, kind = nil, 0
		}
	}
	return transcript, true
}

// refCut cuts the first frame off p; size is 0 when the frame is incomplete.
func refCut(p []byte, open bool, room int) (f refFrame, size int) {
	if len(p) < 2 {
		return f, 0
	}
	f.first = p[0]
	op, fin, masked, length := p[0]%16, p[0] >= 128, p[1] >= 128, int(p[1]%128)
	refused := strings.IndexByte("\x00\x01\x02\x08\x09\x0a", op) < 0 || p[0]/16%8 != 0 || !masked ||
		op >= 8 && (!fin || length > 125) || op == 0 && !open || (op == 1 || op == 2) && open
	if refused {
		f.verdict = 1002
		return f, 0
	}
	head, least := 2, 0
	if length == 126 {
		head, least = 4, 126
	} else if length == 127 {
		head, least = 10, 65536
	}
	if len(p) < head+4 {
		return f, 0
	}
	if head > 2 {
		length = 0
		for _, b := range p[2:head] {
			length = length*256 + int(b)
		}
	}
	if length < least { // the top bit makes it negative
		f.verdict = 1002
		return f, 0
	}
	if op < 8 && length > max(room, 0) {
		f.verdict = 1009
		return f, 0
	}
	if len(p) < head+4+length {
		return f, 0
	}
	f.payload = mask(p[head+4:head+4+length], [4]byte(p[head:head+4]))
	return f, head + 4 + length
}

// refText decodes with the table of RFC 3629, section 4. ok is false for an
// impossible byte. whole is true when the last rune is complete.
func refText(p []byte) (ok, whole bool) {
	type row struct{ first, last, low, high, tail byte }
	table := []row{
		{0x00, 0x7f, 0, 0, 0},
		{0xc2, 0xdf, 0x80, 0xbf, 1},
		{0xe0, 0xe0, 0xa0, 0xbf, 2}, {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
		{0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
	}
	left, low, high := byte(0), byte(0x80), byte(0xbf)
next:
	for _, b := range p {
		if left > 0 {
			if b < low || b > high {
				return false, false
			}
			left, low, high = left-1, 0x80, 0xbf
			continue
		}
		for _, r := range table {
			if b >= r.first && b <= r.last {
				left, low, high = r.tail, r.low, r.high
				continue next
			}
		}
		return false, false
	}
	return true, left == 0
}

// checkAgainstReference compares a transcript with the reference's. If the stream
// ends inside a frame, the Reader may report an error that the reference cannot
// see, because it needs whole frames. The stream is then completed, and the
// reference must find the error too.
func checkAgainstReference(t testing.TB, stream []byte, maxMessage int, got string) {
	t.Helper()
	lines, complete := reference(stream, maxMessage)
	want := strings.Join(lines, "\n")
	if got == want {
		return
	}
	if !complete {
		for pad := 1; pad <= 1<<17; pad *= 4 {
			lines, _ = reference(append(append([]byte(nil), stream...), make([]byte, pad)...), maxMessage)
			if longer := strings.Join(lines, "\n"); longer == got && strings.Contains(got, "error") {
				return
			}
		}
	}
	t.Fatalf("stream %x with a limit of %d:\n%s\nreference:\n%s", stream, maxMessage, got, want)
}

// compose turns arbitrary bytes into a stream of frames that are mostly legal,
// so that random input gets past the first header.
func compose(seed []byte) []byte {
	texts := []string{"", "a", "κόσμε", "\xe2", "\x82\xac", "\xf0\x9f", "\x98\x80", "\xff", "hello, world", strings.Repeat("0123456789", 15)}
	var stream []byte
	for _, b := range seed {
		payload := texts[int(b>>4)%len(texts)]
		switch b & 0x0f {
		case 0, 1, 2:
			stream = append(stream, final(OpText, payload)...)
		case 3, 4:
			stream = append(stream, part(OpText, payload)...)
		case 5:
			stream = append(stream, part(OpBinary, payload)...)
		case 6, 7, 8:
			stream = append(stream, part(opCont, payload)...)
		case 9, 10, 11:
			stream = append(stream, final(opCont, payload)...)
		case 12:
			stream = append(stream, final(OpPing, payload[:min(len(payload), 125)])...)
		case 13:
			stream = append(stream, final(OpBinary, payload)...)
		case 14:
			stream = append(stream, final(OpClose, payload[:min(len(payload), 125)])...)
		default: // a byte out of place
			stream = append(stream, b)
		}
	}
	return stream
}
