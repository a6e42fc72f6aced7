package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"wsify/internal/invariants"
)

// opCont is the opcode of a continuation frame, for building input.
const opCont Opcode = 0

var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d} // the mask of RFC 6455, section 5.7

// mask XORs p with key, byte by byte, without code of the package.
func mask(p []byte, key [4]byte) []byte {
	out := make([]byte, len(p))
	for i, b := range p {
		out[i] = b ^ key[i%4]
	}
	return out
}

// rawFrame is a client frame with any first byte and the shortest length form.
func rawFrame(first byte, payload string) []byte {
	p := []byte{first}
	switch n := len(payload); {
	case n < 126:
		p = append(p, 0x80|byte(n))
	case n < 1<<16:
		p = append(p, 0x80|126)
		p = binary.BigEndian.AppendUint16(p, uint16(n))
	default:
		p = append(p, 0x80|127)
		p = binary.BigEndian.AppendUint64(p, uint64(n))
	}
	p = append(p, testMask[:]...)
	return append(p, mask([]byte(payload), testMask)...)
}

// final is a frame with FIN set; part is one without.
func final(op Opcode, payload string) []byte { return rawFrame(0x80|byte(op), payload) }
func part(op Opcode, payload string) []byte  { return rawFrame(byte(op), payload) }

func join(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

// octets is one frame per byte of text: a message in single-byte fragments.
func octets(op Opcode, text string) []byte {
	var all []byte
	for i := range len(text) {
		all = append(all, part(op, text[i:i+1])...)
		op = opCont
	}
	return append(all, final(op, "")...)
}

// event is an event in a transcript; a long payload is shown by its size.
func event(op Opcode, payload string) string {
	name := map[Opcode]string{OpText: "text", OpBinary: "binary", OpClose: "close", OpPing: "ping", OpPong: "pong"}[op]
	if len(payload) > 64 {
		payload = fmt.Sprintf("%x... %d bytes, sum %d", payload[:8], len(payload), checksum(payload))
		return name + " " + payload
	}
	return fmt.Sprintf("%s %q", name, payload)
}

func checksum(s string) (sum uint32) {
	for i := range len(s) {
		sum = sum*31 + uint32(s[i])
	}
	return sum
}

// feed passes the chunks to a new Reader and returns its transcript: one line per
// event, and the error last. It checks what Next promises about n and err. It
// overwrites the bytes taken once an event is recorded, because later events must
// not depend on them.
func feed(t testing.TB, maxMessage int, chunks ...[]byte) string {
	t.Helper()
	return feedTo(t, &Reader{}, maxMessage, chunks...)
}

// feedDeflated is feed with an agreement on permessage-deflate.
func feedDeflated(t testing.TB, maxMessage int, chunks ...[]byte) string {
	t.Helper()
	return feedTo(t, &Reader{Deflate: true}, maxMessage, chunks...)
}

func feedTo(t testing.TB, r *Reader, maxMessage int, chunks ...[]byte) string {
	t.Helper()
	defer r.Release()
	var lines []string
	for _, chunk := range chunks {
		in := append([]byte(nil), chunk...)
		for {
			ev, n, ok, err := r.Next(in, maxMessage)
			if n < 0 || n > len(in) || ok && n == 0 || !ok && n != len(in) {
				t.Fatalf("Next of %d bytes: n = %d, ok = %t", len(in), n, ok)
			}
			if err != nil {
				return strings.Join(append(lines, failure(t, r, err)), "\n")
			}
			if !ok {
				break
			}
			if cap(ev.Payload) != len(ev.Payload) {
				t.Fatalf("payload of %d bytes lets its user append into %d", len(ev.Payload), cap(ev.Payload))
			}
			lines = append(lines, event(ev.Op, string(ev.Payload)))
			invariants.Clobber(in[:n])
			in = in[n:]
		}
		invariants.Clobber(in)
		if r.Idle() != (r.st == nil) {
			t.Fatalf("with the input used up: Idle() = %t, st == nil is %t", r.Idle(), r.st == nil)
		}
	}
	return strings.Join(lines, "\n")
}

// failure checks that the error is permanent, and returns it as text.
func failure(t testing.TB, r *Reader, err error) string {
	t.Helper()
	var bad *ProtocolError
	if !errors.As(err, &bad) {
		t.Fatalf("error is %T, want *ProtocolError", err)
	}
	if _, n, ok, again := r.Next([]byte{0x81, 0x80, 0, 0, 0, 0}, 1<<20); again != err || ok || n != 6 {
		t.Fatalf("Next after an error: n = %d, ok = %t, err = %v; want 6, false, %v", n, ok, again, err)
	}
	if r.Buffered() != 0 || r.Idle() {
		t.Fatalf("after an error: Buffered() = %d, Idle() = %t; want 0, false", r.Buffered(), r.Idle())
	}
	return fmt.Sprintf("error %d", bad.Code)
}

// bytewise cuts p into chunks of one byte.
func bytewise(p []byte) [][]byte { return pieces(p, 1) }

// pieces cuts p into chunks of n bytes.
func pieces(p []byte, n int) (chunks [][]byte) {
	for len(p) > 0 {
		k := min(n, len(p))
		chunks = append(chunks, p[:k])
		p = p[k:]
	}
	return chunks
}
