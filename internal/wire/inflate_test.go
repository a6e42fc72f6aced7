package wire

import (
	"runtime"
	"strings"
	"testing"
)

func TestAnInflatedMessageMayFillTheLimitExactly(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 4096, 65535, 65536, 65537, 300_000} {
		for _, d := range deflateData(n) {
			stream := squeezed(OpBinary, d.want, 1<<20)
			if got := feedDeflated(t, n, stream); got != blob(d.want) {
				t.Errorf("%s of %d bytes with a limit of %d: %s", d.name, n, n, got)
			}
			if got := feedDeflated(t, n-1, stream); got != "error 1009" {
				t.Errorf("%s of %d bytes with a limit of %d: %s", d.name, n, n-1, got)
			}
		}
	}
}

func TestAnEncoderOfFixedCodesMayReachTheLimit(t *testing.T) {
	const n = 1000
	long := strings.Repeat("\xff", n) // 9 bits each, with the fixed codes alone
	fixed := []byte{}
	bits, have := uint32(0b010), 3 // a block that is not the last, of fixed codes
	put := func(code uint32, width int) {
		for i := width - 1; i >= 0; i-- { // codes are sent from their highest bit on
			bits |= (code >> i & 1) << have
			if have++; have == 8 {
				fixed, bits, have = append(fixed, byte(bits)), 0, 0
			}
		}
	}
	for range n {
		put(0b111111111, 9)
	}
	put(0, 7+3) // the end of the block, and the head of an empty one
	fixed = append(fixed, byte(bits))
	if got := feedDeflated(t, n, rawFrame(0xc2, string(fixed))); got != blob(long) {
		t.Errorf("%d bytes in %d bytes of fixed codes: %s", n, len(fixed), got)
	}
}

func TestCompressedBytesAreBoundedByTheirHeader(t *testing.T) {
	const limit = 800
	most := limit + limit/8 + 64
	empty := strings.Repeat("\x00\x00\x00\xff\xff", most/5) // blocks of nothing
	empty += strings.Repeat("\x00", 1)
	if len(empty) > most {
		t.Fatalf("%d bytes, want at most %d", len(empty), most)
	}
	if got := feedDeflated(t, limit, rawFrame(0xc2, empty)); got != blob("") {
		t.Errorf("%d bytes that inflate to nothing: %s", len(empty), got)
	}
	if got := feedDeflated(t, limit, rawFrame(0xc2, strings.Repeat("x", most+1))[:4]); got != "error 1009" {
		t.Errorf("a header of %d bytes: %q", most+1, got)
	}
	if got := feedDeflated(t, limit, join(rawFrame(0x42, strings.Repeat("x", most)), rawFrame(0x80, "x")[:2])); got != "error 1009" {
		t.Errorf("a fragment of 1 byte behind %d: %q", most, got)
	}
	if got := feedDeflated(t, limit, rawFrame(0x82, strings.Repeat("x", limit+1))[:4]); got != "error 1009" {
		t.Errorf("a plain message of %d bytes: %q", limit+1, got)
	}
}

func TestABombCostsAtMostTheLimitInMemory(t *testing.T) {
	const limit = 100 << 10
	stream := squeezed(OpText, strings.Repeat("0", 20<<20), 1<<30)
	t.Logf("%d bytes inflate to 20 MiB", len(stream))
	feedDeflated(t, limit, stream) // fills the pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := feedDeflated(t, limit, stream); got != "error 1009" {
		t.Errorf("the bomb: %s", got)
	}
	runtime.ReadMemStats(&after)
	// Growth copies: the sizes before add up to the limit once more. The test copies the stream.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4*limit+3*len(stream)); got > most {
		t.Errorf("the bomb allocates %d bytes, want at most %d", got, most)
	}
}

func TestInflatingAllocatesNothing(t *testing.T) {
	const command = `{"command":"broadcast","args":{"channel":"news","content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}`
	stream := join(squeezed(OpText, command, 1<<20), squeezed(OpText, command, 20))
	r := Reader{Deflate: true}
	scratch := make([]byte, 64<<10)
	for _, n := range []int{len(stream), 7} {
		chunks := pieces(stream, n)
		allocates(t, "compressed messages", func() { replay(t, &r, scratch, 2, chunks...) })
	}
	if r.st != nil {
		t.Error("the Reader keeps something between messages")
	}
}
