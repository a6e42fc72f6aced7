package wire

import (
	"strings"
	"testing"
)

// maxHandshakeAllocs is how often ParseRequest and AppendUpgrade may allocate: the
// Upgrader allocates the 28 bytes of Sec-WebSocket-Accept.
const maxHandshakeAllocs = 1

// benchNext reads the chunks over and over. Reading unmasks in place; a second
// pass over the same bytes would mask them again, so each pass reads a copy.
func benchNext(b *testing.B, chunks ...[]byte) {
	var r Reader
	size, scratch := 0, make([]byte, 128<<10)
	for _, chunk := range chunks {
		size += len(chunk)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, chunk := range chunks {
			for in := scratch[:copy(scratch, chunk)]; ; {
				_, n, ok, err := r.Next(in, roomy)
				if err != nil {
					b.Fatal(err)
				}
				if in = in[n:]; !ok {
					break
				}
			}
		}
	}
}

const joinCommand = `{"command":"join","args":{"channel":"news"}}`

func BenchmarkNextWholeFrame(b *testing.B) { benchNext(b, final(OpText, joinCommand)) }

func BenchmarkNextFrameCutInTwo(b *testing.B) {
	frame := final(OpText, joinCommand)
	benchNext(b, frame[:20], frame[20:])
}

func BenchmarkNextFragmented(b *testing.B) {
	benchNext(b, join(part(OpText, joinCommand[:20]), final(opCont, joinCommand[20:])))
}

func BenchmarkNextText64KiB(b *testing.B) {
	benchNext(b, final(OpText, strings.Repeat("0123456789abcdef", 4096)))
}

func BenchmarkNextGreek4KiB(b *testing.B) {
	benchNext(b, final(OpText, strings.Repeat("κόσμε...", 340)))
}

func BenchmarkNextByteByByte(b *testing.B) {
	benchNext(b, bytewise(final(OpText, joinCommand))...)
}

func BenchmarkAppendFrame(b *testing.B) {
	payload := []byte(joinCommand)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		AppendFrame(dst, OpText, payload)
	}
}

func BenchmarkHeadEnd(b *testing.B) {
	head := []byte(browserHead)
	b.ReportAllocs()
	for b.Loop() {
		HeadEnd(head, 0)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	head := []byte(browserHead)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(head); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	head := []byte(browserHead)
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRequest(head)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := AppendUpgrade(dst, &r, head); err != nil {
			b.Fatal(err)
		}
	}
}
