package wire

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// deflated returns the frame of a message, or nil when it does not shrink.
func deflated(d *Deflater, payload string, narrow bool) (frame []byte) {
	d.Deflate(AppendFrame(nil, OpText, []byte(payload)), narrow, func(p []byte) { frame = bytes.Clone(p) })
	return frame
}

// unpacked returns the payload of one compressed server frame, completed for farthest.
func unpacked(t testing.TB, frame []byte) []byte {
	t.Helper()
	if frame[0] != 0xc1 {
		t.Fatalf("the frame begins with %#x, want a final text frame with RSV1", frame[0])
	}
	at := headerSize(frame)
	if FrameSize(len(frame)-at) != len(frame) {
		t.Fatalf("the frame has %d bytes and a header of %d", len(frame), at)
	}
	return append(bytes.Clone(frame[at:]), deflateTail...)
}

// checkDeflated checks that a message comes back, and that no reference goes back too far.
func checkDeflated(t testing.TB, d *Deflater, payload string, narrow bool) (size int) {
	t.Helper()
	frame := deflated(d, payload, narrow)
	if frame == nil {
		return FrameSize(len(payload))
	}
	if len(frame) >= FrameSize(len(payload)) {
		t.Fatalf("%d bytes became a frame of %d", len(payload), len(frame))
	}
	out, far := farthest(unpacked(t, frame))
	if string(out) != payload {
		t.Fatalf("%d bytes came back as %d others", len(payload), len(out))
	}
	if most := map[bool]int{false: 1 << maxWindowBits, true: 1 << minWindowBits}[narrow]; far > most {
		t.Fatalf("a window of %d bytes was agreed on, and a reference goes back by %d", most, far)
	}
	if buf, bad := inflate(unpacked(t, frame), len(payload)); bad != nil || string(buf.p) != payload {
		t.Fatalf("our own inflate: %v", bad)
	} else {
		buf.free()
	}
	return len(frame)
}

func TestDeflatedMessagesComeBackAndKeepToTheirWindow(t *testing.T) {
	for _, level := range []int{1, 6, 9} {
		d := NewDeflater(level, 0)
		for _, n := range []int{512, 1 << 10, 34_000} {
			for _, data := range deflateData(n) {
				for _, narrow := range []bool{false, true} {
					size := checkDeflated(t, d, data.want, narrow)
					if shrinks := size < FrameSize(n); shrinks == strings.HasPrefix(data.name, "12.2") {
						t.Errorf("%s of %d bytes at level %d, narrow is %t: a frame of %d bytes", data.name, n, level, narrow, size)
					}
				}
			}
		}
	}
}

func TestMessagesThatDoNotShrinkAreLeftPlain(t *testing.T) {
	d := NewDeflater(1, 0)
	for _, payload := range []string{"", "a", "ab", strings.Repeat("x", 3), deflateData(1 << 10)[1].want} {
		if frame := deflated(d, payload, false); frame != nil {
			t.Errorf("%d bytes became a frame of %d", len(payload), len(frame))
		}
	}
	if frame := deflated(d, strings.Repeat("x", 100), false); frame == nil {
		t.Error("a hundred times the same byte does not shrink")
	}
}

func TestSmallMessagesAreLeftPlain(t *testing.T) {
	d := NewDeflater(1, 512)
	for n, want := range map[int]bool{0: false, 511: false, 512: true, 513: true} {
		if got := deflated(d, strings.Repeat("x", n), true) != nil; got != want {
			t.Errorf("%d bytes with a least size of 512: compressed is %t, want %t", n, got, want)
		}
	}
}

func TestSeveralGoroutinesDeflateAtOnce(t *testing.T) {
	d := NewDeflater(1, 0)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				checkDeflated(t, d, strings.Repeat(string(rune('a'+i)), 600+i), i%2 == 0)
			}
		})
	}
	all.Wait()
}

func TestDeflatingAllocatesNothing(t *testing.T) {
	d, payload := NewDeflater(1, 0), AppendFrame(nil, OpText, []byte(deflateData(1 << 10)[0].want))
	size := 0
	for _, narrow := range []bool{false, true} {
		allocates(t, "deflate", func() { d.Deflate(payload, narrow, func(p []byte) { size += len(p) }) })
	}
}

func BenchmarkDeflate1KiB(b *testing.B) {
	d, payload, size := NewDeflater(1, 0), AppendFrame(nil, OpText, []byte(deflateData(1 << 10)[0].want)), 0
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		d.Deflate(payload, false, func(p []byte) { size = len(p) })
	}
	b.ReportMetric(float64(size), "bytes/frame")
}

func BenchmarkNextDeflated1KiB(b *testing.B) {
	stream := squeezed(OpText, deflateData(1 << 10)[0].want, 1<<20)
	r, scratch := Reader{Deflate: true}, make([]byte, len(stream))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, err := r.Next(scratch[:copy(scratch, stream)], roomy); !ok {
			b.Fatal(err)
		}
	}
}
