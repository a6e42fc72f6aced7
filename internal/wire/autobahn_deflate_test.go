package wire

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// packed compresses s with the standard library, as a sender of permessage-deflate does.
func packed(s string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 6)
	_, _ = w.Write([]byte(s))
	_ = w.Flush()
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

const rsv1 = 0x40

// squeezed is a compressed message in frames of at most size bytes of payload.
func squeezed(op Opcode, payload string, size int) []byte {
	payload = packed(payload)
	first, all := byte(op)|rsv1, []byte(nil)
	for len(payload) > size {
		all = append(all, rawFrame(first, payload[:size])...)
		first, payload = byte(opCont), payload[size:]
	}
	return append(all, rawFrame(0x80|first, payload)...)
}

// deflateData are the kinds of content of Autobahn's group 12, of the given size.
func deflateData(size int) []script {
	repeat := func(s string) string { return strings.Repeat(s, 1+size/len(s))[:size] }
	rng, noise := rand.New(rand.NewPCG(12, 2)), make([]byte, size)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var list strings.Builder
	for i := 0; list.Len() < size; i++ {
		fmt.Fprintf(&list, `{"id":%d,"user":"u%d","text":"%x"},`, i, i%7, rng.Uint64())
	}
	return []script{
		{name: "12.1 JSON", want: list.String()[:size]},
		{name: "12.2 a picture", want: string(noise)},
		{name: "12.3 a poem", want: repeat("Da steh ich nun, ich armer Tor! Und bin so klug als wie zuvor; ")},
		{name: "12.4 a page", want: repeat(`<tr class="odd"><td>1</td><td><a href="/page/1">Page</a></td></tr>`)},
		{name: "12.5 JSON that repeats", want: repeat(`{"command":"join","args":{"channel":"news"}}`)},
	}
}

// deflatedScripts are groups 12 and 13 of the Autobahn test suite: sizes of messages and
// of fragments. What a reader does does not depend on the offer, in which 13 differs.
func deflatedScripts() []script {
	var all []script
	sizes := []int{16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 128 << 10, 128 << 10, 128 << 10}
	fragments := []int{10: 256, 256, 256, 256, 256, 1 << 10, 4 << 10, 32 << 10}
	for i, size := range sizes {
		if raceEnabled && size > 8<<10 {
			continue
		}
		for _, d := range deflateData(size) {
			fragment := fragments[i]
			if fragment == 0 {
				fragment = 1 << 20
			}
			name, op := fmt.Sprintf("%s, case %d", d.name, i+1), OpText
			if strings.HasPrefix(d.name, "12.2") {
				op = OpBinary
			}
			all = append(all, script{name, squeezed(op, d.want, fragment), event(op, d.want)})
		}
	}
	return append(all, deflateRules()...)
}

// deflateRules are the rules of RFC 7692, with the numbers of its sections.
func deflateRules() []script {
	hello := packed("Hello")
	odd := func(first byte, payload string) []byte { return rawFrame(first, payload) }
	return []script{
		{"7.2.3.1 one block", odd(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), text("Hello")},
		{"7.2.3.1 in two fragments", join(odd(0x41, "\xf2\x48\xcd"), odd(0x80, "\xc9\xc9\x07\x00")), text("Hello")},
		{"7.2.3.2 a context taken over is not there", join(odd(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), odd(0xc1, "\xf2\x00\x11\x00\x00")), events(text("Hello"), badText)},
		{"7.2.3.3 a block without compression", odd(0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), text("Hello")},
		{"7.2.3.4 a last block, and an empty one", odd(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), text("Hello")},
		{"7.2.3.4 a last block, and nothing", odd(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00"), text("Hello")},
		{"7.2.3.5 two blocks", odd(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), text("Hello")},
		{"7.2.3.6 an empty message", odd(0xc1, "\x00"), text("")},
		{"7.2.1 several last blocks", odd(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), text("HelloHello")},
		{"6.1 a plain message", join(final(OpText, "plain"), odd(0xc1, hello), final(OpBinary, "\xff")), events(text("plain"), text("Hello"), blob("\xff"))},
		{"6.1 empty fragments and a ping between", join(odd(0x42, ""), odd(0x00, hello[:3]), final(OpPing, "p"), odd(0x00, ""), odd(0x00, hello[3:]), odd(0x80, "")),
			events(ping("p"), blob("Hello"))},
		{"6.1 the bit on a later fragment", join(odd(0x41, hello[:3]), odd(0xc0, hello[3:])), violation},
		{"6.1 the bit on a ping", odd(0xc9, hello), violation},
		{"6.1 the bit on a close", odd(0xc8, ""), violation},
		{"5.2 another bit beside it", odd(0xe1, hello), violation},
		{"5.2 another bit", odd(0xa1, hello), violation},
		{"5.4 a message inside a compressed one", join(odd(0x41, hello[:3]), odd(0xc1, hello)), violation},
		{"8.1 text that is not UTF-8", odd(0xc1, packed("caf\xe9")), badText},
		{"8.1 binary is not judged", odd(0xc2, packed("caf\xe9")), blob("caf\xe9")},
		{"7.2.2 no byte at all", odd(0xc1, ""), badText},
		{"7.2.2 garbage", odd(0xc2, "\xff\xff\xff\xff"), badText},
		{"7.2.2 a block that is cut", odd(0xc2, hello[:4]), badText},
		{"7.2.2 garbage behind a last block", odd(0xc2, "\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff"), badText},
		{"7.2.2 the four bytes that have to be cut off", odd(0xc1, hello+"\x00\x00\xff\xff\x00"), text("Hello")},
	}
}

func TestDeflatedScriptsGiveTheirEventsAtAnySplit(t *testing.T) {
	for _, s := range deflatedScripts() {
		t.Run(s.name, func(t *testing.T) {
			if got := feedDeflated(t, roomy, s.stream); got != s.want {
				t.Fatalf("whole stream:\n%s\nwant:\n%s", got, s.want)
			}
			sizes := []int{1, 997}
			if len(s.stream) > 20_000 {
				sizes = []int{997}
			}
			for _, n := range sizes {
				if got := feedDeflated(t, roomy, pieces(s.stream, n)...); got != s.want {
					t.Errorf("%d bytes at a time:\n%s\nwant:\n%s", n, got, s.want)
				}
			}
			for cut := range min(len(s.stream), 40) {
				if got := feedDeflated(t, roomy, s.stream[:cut], s.stream[cut:]); got != s.want {
					t.Fatalf("cut at %d of %d:\n%s\nwant:\n%s", cut, len(s.stream), got, s.want)
				}
			}
		})
	}
}

func TestPlainScriptsAreReadAlikeWithAnAgreement(t *testing.T) {
	for _, s := range scripts() {
		if s.stream[0]&rsv1 != 0 || strings.Contains(s.name, "RSV 4") { // with an agreement, these may begin a compressed message
			continue
		}
		if got := feedDeflated(t, roomy, s.stream); got != s.want {
			t.Errorf("%s:\n%s\nwant:\n%s", s.name, got, s.want)
		}
	}
}
