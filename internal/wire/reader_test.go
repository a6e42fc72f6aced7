package wire

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

const roomy = 1 << 20 // a message limit that is never reached

func TestScriptsGiveTheirEvents(t *testing.T) {
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			if got := feed(t, roomy, s.stream); got != s.want {
				t.Errorf("whole stream:\n%s\nwant:\n%s", got, s.want)
			}
		})
	}
}

func TestAnySplitGivesTheSameEvents(t *testing.T) {
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			if got := feed(t, roomy, bytewise(s.stream)...); got != s.want {
				t.Errorf("byte by byte:\n%s\nwant:\n%s", got, s.want)
			}
			if got := feed(t, roomy, pieces(s.stream, 997)...); got != s.want {
				t.Errorf("997 bytes at a time:\n%s\nwant:\n%s", got, s.want)
			}
			for _, cut := range cuts(len(s.stream)) {
				if got := feed(t, roomy, s.stream[:cut], nil, s.stream[cut:]); got != s.want {
					t.Fatalf("cut at %d of %d:\n%s\nwant:\n%s", cut, len(s.stream), got, s.want)
				}
			}
		})
	}
}

// cuts returns every place to cut n bytes once. For long streams it returns places
// near the header and the end, where results can differ.
func cuts(n int) (at []int) {
	for i := range n + 1 {
		if n < 2000 || i < 40 || i > n-10 {
			at = append(at, i)
		}
	}
	return at
}

func TestRandomScriptsMatchTheReferenceAtAnySplit(t *testing.T) {
	rng := rand.New(rand.NewPCG(6455, 1))
	for range 4000 {
		seed := make([]byte, rng.IntN(60))
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		stream := compose(seed)
		limit := []int{0, 1, 5, 40, 200, roomy}[rng.IntN(6)]
		checkAgainstReference(t, stream, limit, feed(t, limit, stream))
		checkAgainstReference(t, stream, limit, feed(t, limit, bytewise(stream)...))
		for range 3 {
			checkAgainstReference(t, stream, limit, feed(t, limit, randomCuts(rng, stream)...))
		}
	}
}

func randomCuts(rng *rand.Rand, p []byte) (chunks [][]byte) {
	for len(p) > 0 {
		n := min(len(p), 1+rng.IntN(20))
		chunks = append(chunks, p[:n])
		p = p[n:]
	}
	return chunks
}

func TestAnErrorComesWithTheByteThatProvesIt(t *testing.T) {
	tests := []struct {
		rule    string
		message int    // the message limit
		before  []byte // accepted
		p       []byte // accepted except for its last byte
		code    CloseCode
	}{
		{"5.2 reserved bit", roomy, nil, []byte{0xc1}, ProtocolViolation},
		{"5.2 reserved opcode", roomy, nil, []byte{0x83}, ProtocolViolation},
		{"5.5 fragmented control frame", roomy, nil, []byte{0x09}, ProtocolViolation},
		{"5.4 continuation of nothing", roomy, nil, []byte{0x80}, ProtocolViolation},
		{"5.4 message inside a message", roomy, part(OpText, "a"), []byte{0x81}, ProtocolViolation},
		{"5.1 no mask", roomy, nil, []byte{0x81, 0x05}, ProtocolViolation},
		{"5.5 long control frame", roomy, nil, []byte{0x89, 0xfe}, ProtocolViolation},
		{"5.2 16-bit length under 126", roomy, nil, []byte{0x81, 0xfe, 0, 125}, ProtocolViolation},
		{"5.2 64-bit length under 65536", roomy, nil, []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0}, ProtocolViolation},
		{"5.2 64-bit length with the top bit", roomy, nil, []byte{0x81, 0xff, 0x80}, ProtocolViolation},
		{"10.4 7-bit length over the limit", 99, nil, []byte{0x81, 0x80 | 100}, TooBig},
		{"10.4 16-bit length over the limit", 300, nil, []byte{0x82, 0xfe, 1, 45}, TooBig},
		{"10.4 upper byte over the limit", 300, nil, []byte{0x82, 0xfe, 2}, TooBig},
		{"10.4 64-bit length over the limit", 65536, nil, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1}, TooBig},
		{"10.4 64-bit length far over the limit", 65536, nil, []byte{0x82, 0xff, 0x7f}, TooBig},
		{"10.4 sum of fragments over the limit", 10, part(OpText, "123456"), []byte{0x80, 0x85}, TooBig},
		{"10.4 any byte over a limit of zero", 0, nil, []byte{0x82, 0x81}, TooBig},
		{"10.4 any byte over a negative limit", -1, nil, []byte{0x82, 0x81}, TooBig},
		{"8.1 impossible byte", roomy, nil, rawFrame(0x81, "abc\xff and more")[:6+4], InvalidPayload},
		{"8.1 impossible second byte", roomy, nil, rawFrame(0x81, "abc\xed\xa0\x80")[:6+5], InvalidPayload},
		{"8.1 impossible byte in a second fragment", roomy, part(OpText, "\xf4"), rawFrame(0x00, "\x90 and more")[:6+1], InvalidPayload},
		{"8.1 rune cut by the end of the message", roomy, part(OpText, "\xe2\x82"), final(opCont, ""), InvalidPayload},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			last := len(tt.p) - 1
			if got := feed(t, tt.message, tt.before, tt.p[:last]); got != "" {
				t.Errorf("before the byte: %q, want nothing yet", got)
			}
			want := fmt.Sprintf("error %d", tt.code)
			if got := feed(t, tt.message, tt.before, tt.p[:last], tt.p[last:]); got != want {
				t.Errorf("with the byte: %q, want %q", got, want)
			}
			if got := feed(t, tt.message, join(tt.before, tt.p)); got != want {
				t.Errorf("in one piece: %q, want %q", got, want)
			}
		})
	}
}

func TestAMessageMayFillTheLimitExactly(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		s := strings.Repeat("x", n)
		if got := feed(t, n, final(OpBinary, s)); got != blob(s) {
			t.Errorf("%d bytes with a limit of %d: %s", n, n, got)
		}
		stream := join(part(OpBinary, s[:n/2]), final(OpPing, "not counted"), final(opCont, s[n/2:]))
		if got, want := feed(t, n, stream), events(ping("not counted"), blob(s)); got != want {
			t.Errorf("%d bytes in fragments with a limit of %d:\n%s", n, n, got)
		}
	}
}

func TestTheLimitIsForOneMessage(t *testing.T) {
	one := join(part(OpText, "123"), final(opCont, "45"))
	if got, want := feed(t, 5, join(one, one, one)), events(text("12345"), text("12345"), text("12345")); got != want {
		t.Errorf("three messages of 5 bytes with a limit of 5:\n%s", got)
	}
}

func TestALimitThatShrinksInsideAMessageIsObeyed(t *testing.T) {
	var r Reader
	defer r.Release()
	r.Next(part(OpText, "123456"), 10)
	if _, _, _, err := r.Next(final(opCont, "x"), 3); err != error(errTooBig) {
		t.Errorf("one byte more with 6 of 3 used: %v, want %v", err, errTooBig)
	}
}

func TestReaderIsOnePointerAndNilWhenIdle(t *testing.T) {
	if size := unsafe.Sizeof(Reader{}); size != 2*unsafe.Sizeof(uintptr(0)) {
		t.Fatalf("Reader has %d bytes, want one pointer and a flag", size)
	}
	var r Reader
	steps := []struct {
		what string
		in   []byte
		held int
		idle bool
	}{
		{"nothing", nil, 0, true},
		{"a whole frame", final(OpText, "hello"), 0, true},
		{"one byte of a header", []byte{0x81}, 1, false},
		{"the rest of it", final(OpText, "hello")[1:], 0, true},
		{"a header and half a payload", final(OpText, "hello")[:8], 2, false},
		{"the other half", final(OpText, "hello")[8:], 0, true},
		{"half a ping", final(OpPing, "hello")[:8], 2, false},
		{"the rest of it", final(OpPing, "hello")[8:], 0, true},
		{"a first fragment", part(OpText, "abc"), 3, false},
		{"a ping in between", final(OpPing, "hello"), 3, false},
		{"half a ping in between", final(OpPing, "hello")[:8], 5, false},
		{"the rest of it", final(OpPing, "hello")[8:], 3, false},
		{"the last fragment", final(opCont, "def"), 0, true},
		{"an empty first fragment", part(OpText, ""), 0, false},
		{"an empty last fragment", final(opCont, ""), 0, true},
	}
	for _, s := range steps {
		for in := s.in; ; {
			_, n, ok, err := r.Next(in, roomy)
			if err != nil {
				t.Fatalf("%s: %v", s.what, err)
			}
			if in = in[n:]; !ok {
				break
			}
		}
		if r.Idle() != s.idle || (r.st == nil) != s.idle || r.Buffered() != s.held {
			t.Errorf("after %s: Idle() = %t, st == nil is %t, Buffered() = %d; want %t, %t, %d",
				s.what, r.Idle(), r.st == nil, r.Buffered(), s.idle, s.idle, s.held)
		}
	}
}

func TestReleaseMakesAReaderNew(t *testing.T) {
	for _, begun := range [][]byte{{0x81}, {0xff}, part(OpText, "abc"), final(OpText, "hello")[:9], final(OpPing, "hello")[:9], part(OpText, "\xce")} {
		var r Reader
		r.Next(append([]byte(nil), begun...), roomy)
		r.Release()
		ev, _, ok, err := r.Next(final(OpText, "fresh"), roomy)
		if err != nil || !ok || ev.Op != OpText || string(ev.Payload) != "fresh" {
			t.Errorf("after %x and Release: %v %t %v, want text fresh", begun, ev, ok, err)
		}
		r.Release()
	}
}

func TestAWholeFrameIsLentFromTheInput(t *testing.T) {
	for _, split := range []int{0, 1, 5} { // in one piece, or with the header cut
		var r Reader
		in := join(final(OpText, "hello"), final(OpPing, ""))
		r.Next(in[:split], roomy)
		ev, n, ok, err := r.Next(in[split:], roomy)
		if err != nil || !ok || n != 11-split {
			t.Fatalf("split at %d: n = %d, ok = %t, err = %v", split, n, ok, err)
		}
		if unsafe.SliceData(ev.Payload) != &in[6] || cap(ev.Payload) != 5 {
			t.Errorf("split at %d: payload is a copy, or has room behind it", split)
		}
		if r.st != nil {
			t.Errorf("split at %d: the Reader keeps a state for a payload that lies in the input", split)
		}
	}
}

func TestMemoryFollowsTheBytesThatArrivedNotTheClaim(t *testing.T) {
	var r Reader
	defer r.Release()
	claim := []byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4} // 1 GiB
	for i, p := range pieces(append(claim, make([]byte, 100_000)...), 1000) {
		r.Next(p, math.MaxInt)
		arrived := (i + 1) * 1000
		if got := cap(r.st.msg.p); got > max(2*arrived, minBuffer) {
			t.Fatalf("%d bytes arrived of 1 GiB claimed, and %d are set aside", arrived, got)
		}
	}
}

func TestEmptyFragmentsCostNoMemory(t *testing.T) {
	var r Reader
	defer r.Release()
	r.Next(part(OpBinary, ""), roomy)
	flood := bytes.Repeat(part(opCont, ""), 10_000)
	if _, n, ok, err := r.Next(flood, roomy); n != len(flood) || ok || err != nil {
		t.Fatalf("ten thousand empty fragments: n = %d, ok = %t, err = %v", n, ok, err)
	}
	if r.st.msg != nil || r.Buffered() != 0 {
		t.Errorf("ten thousand empty fragments: %d bytes are kept", r.Buffered())
	}
}

func TestEventsSurviveTheInputOfOtherReaders(t *testing.T) {
	var a, b Reader
	defer a.Release()
	defer b.Release()
	a.Next(part(OpText, "first "), roomy)
	ev, _, _, _ := a.Next(final(opCont, "message"), roomy)
	for range 10 { // would get a's buffer if that were freed too early
		b.Next(part(OpText, "other reader"), roomy)
		b.Next(final(opCont, "other reader"), roomy)
	}
	if string(ev.Payload) != "first message" {
		t.Errorf("payload became %q while it was lent", ev.Payload)
	}
}

func TestBuffersMoveUpThroughTheirClasses(t *testing.T) {
	var b *buffer
	var want []byte
	for i := 0; len(want) < 300_000; i++ {
		piece := bytes.Repeat([]byte{byte(i)}, 1+i*7%5000)
		b = b.extend(piece)
		want = append(want, piece...)
	}
	if !bytes.Equal(b.p, want) {
		t.Error("bytes changed while the buffer grew")
	}
	b.free()
	for _, tt := range []struct{ n, class int }{{0, 0}, {1, 0}, {256, 0}, {257, 1}, {512, 1}, {513, 2}, {maxPooled, classes - 1}} {
		if got := classOf(tt.n); got != tt.class || minBuffer<<got < tt.n {
			t.Errorf("classOf(%d) = %d, want %d", tt.n, got, tt.class)
		}
	}
}

func TestProtocolErrorShowsCodeAndRule(t *testing.T) {
	if got, want := errNotMasked.Error(), "websocket: 1002 client frame without a mask"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
