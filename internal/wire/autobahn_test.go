package wire

import (
	"fmt"
	"strings"
)

// script is a stream of client frames and the expected transcript.
type script struct {
	name   string
	stream []byte
	want   string
}

func events(lines ...string) string { return strings.Join(lines, "\n") }

func text(s string) string { return event(OpText, s) }
func blob(s string) string { return event(OpBinary, s) }
func ping(s string) string { return event(OpPing, s) }
func pong(s string) string { return event(OpPong, s) }
func clos(s string) string { return event(OpClose, s) }

const (
	violation = "error 1002"
	badText   = "error 1007"
)

// The numbers are those of the Autobahn test suite.

// scripts is every script of this file.
func scripts() []script {
	var all []script
	for _, group := range [][]script{framing(), pings(), reservedBits(), opcodes(), fragments(), utf8Handling(), closes(), rfcExamples()} {
		all = append(all, group...)
	}
	return all
}

func framing() []script {
	var all []script
	for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		s := strings.Repeat("*", n)
		b := strings.Repeat("\xfe", n)
		all = append(all,
			script{fmt.Sprintf("1.1.%d text of %d bytes", i+1, n), final(OpText, s), text(s)},
			script{fmt.Sprintf("1.2.%d binary of %d bytes", i+1, n), final(OpBinary, b), blob(b)})
	}
	return all
}

func pings() []script {
	long := strings.Repeat("\xfe", 125)
	var ten [][]byte
	var tenEvents []string
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		ten = append(ten, final(OpPing, payload))
		tenEvents = append(tenEvents, ping(payload))
	}
	return []script{
		{"2.1 ping without payload", final(OpPing, ""), ping("")},
		{"2.2 ping with text", final(OpPing, "Hello, world!"), ping("Hello, world!")},
		{"2.3 ping with binary", final(OpPing, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")},
		{"2.4 ping of 125 bytes", final(OpPing, long), ping(long)},
		{"2.5 ping of 126 bytes is refused", final(OpPing, long+"\xfe"), violation},
		{"2.7 unsolicited pong", final(OpPong, ""), pong("")},
		{"2.8 unsolicited pong with payload", final(OpPong, "unsolicited"), pong("unsolicited")},
		{"2.9 unsolicited pong, then ping", join(final(OpPong, "unsolicited"), final(OpPing, "ping")), events(pong("unsolicited"), ping("ping"))},
		{"2.10 ten pings", join(ten...), events(tenEvents...)},
	}
}

func reservedBits() []script {
	hello := final(OpText, "Hello")
	ok := text("Hello")
	return []script{
		{"3.1 RSV 1", rawFrame(0x91, "Hello"), violation},
		{"3.2 RSV 2 after a message", join(hello, rawFrame(0xa1, "Hello"), final(OpPing, "")), events(ok, violation)},
		{"3.3 RSV 3 after a message", join(hello, rawFrame(0xb1, "Hello"), final(OpPing, "")), events(ok, violation)},
		{"3.4 RSV 4 after a message", join(hello, rawFrame(0xc1, "Hello"), final(OpPing, "")), events(ok, violation)},
		{"3.5 RSV 5 on binary", rawFrame(0xd2, "\x00\xff"), violation},
		{"3.6 RSV 6 on ping", rawFrame(0xe9, "Hello"), violation},
		{"3.7 RSV 7 on close", rawFrame(0xf8, ""), violation},
		{"5.2 RSV 1 on a continuation", join(part(OpText, "a"), rawFrame(0xc0, "b")), violation},
	}
}

func opcodes() []script {
	hello := final(OpText, "Hello")
	var all []script
	for i, op := range []Opcode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		name := fmt.Sprintf("4.%d.%d reserved opcode %d", 1+i/5, 1+i%5, op)
		all = append(all,
			script{name, final(op, ""), violation},
			script{name + " after a message", join(hello, final(op, "x"), final(OpPing, "")), events(text("Hello"), violation)},
			script{name + " inside a message", join(part(OpText, "a"), part(op, "")), violation})
	}
	return all
}

func fragments() []script {
	return []script{
		{"5.1 fragmented ping is refused", join(part(OpPing, "fragment1"), final(opCont, "fragment2")), violation},
		{"5.2 fragmented pong is refused", join(part(OpPong, "fragment1"), final(opCont, "fragment2")), violation},
		{"5.3 text in two fragments", join(part(OpText, "fragment1"), final(opCont, "fragment2")), text("fragment1fragment2")},
		{"5.6 ping between fragments", join(part(OpText, "fragment1"), final(OpPing, "ping payload"), final(opCont, "fragment2")),
			events(ping("ping payload"), text("fragment1fragment2"))},
		{"5.9 continuation without a start", join(final(opCont, "non-continuation payload"), final(OpText, "Hello")), violation},
		{"5.12 unfinished continuation without a start", join(part(opCont, "non-continuation payload"), final(OpText, "Hello")), violation},
		{"5.15 continuation after a message ended", join(part(OpText, "fragment1"), final(opCont, "fragment2"), part(opCont, "fragment3"), final(OpText, "fragment4")),
			events(text("fragment1fragment2"), violation)},
		{"5.18 second fragment is text", join(part(OpText, "fragment1"), final(OpText, "fragment2")), violation},
		{"5.4 second fragment is binary", join(part(OpText, "fragment1"), part(OpBinary, "fragment2")), violation},
		{"5.19 five fragments with pings between", join(
			part(OpText, "fragment1"), part(opCont, "fragment2"), final(OpPing, "pongme 1!"),
			part(opCont, "fragment3"), part(opCont, "fragment4"), final(OpPing, "pongme 2!"), final(opCont, "fragment5")),
			events(ping("pongme 1!"), ping("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5"))},
		{"5.4 empty fragments", join(part(OpBinary, ""), part(opCont, ""), part(opCont, "x"), part(opCont, ""), final(opCont, "")), blob("x")},
		{"5.4 message after message", join(part(OpText, "a"), final(opCont, "b"), final(OpText, "c"), part(OpBinary, "d"), final(opCont, "")),
			events(text("ab"), text("c"), blob("d"))},
	}
}

func utf8Handling() []script {
	const greek = "κόσμε"
	const mixed = "Hello-µ@ßöäüàá-UTF-8!!"
	all := []script{
		{"6.1.1 empty text", final(OpText, ""), text("")},
		{"6.1.2 three empty fragments", join(part(OpText, ""), part(opCont, ""), final(opCont, "")), text("")},
		{"6.1.3 empty, full, empty", join(part(OpText, ""), part(opCont, "middle frame payload"), final(opCont, "")), text("middle frame payload")},
		{"6.2.1 text in one frame", final(OpText, mixed), text(mixed)},
		{"6.2.2 fragments cut between runes", join(part(OpText, mixed[:12]), final(opCont, mixed[12:])), text(mixed)},
		{"6.2.3 fragments of one byte", octets(OpText, mixed), text(mixed)},
		{"6.2.4 greek in fragments of one byte", octets(OpText, greek), text(greek)},
		{"6.3.1 surrogate in one frame", final(OpText, greek+"\xed\xa0\x80edited"), badText},
		{"6.3.2 surrogate in fragments of one byte", octets(OpText, greek+"\xed\xa0\x80edited"), badText},
		{"6.4.1 fails at the second fragment of three", join(part(OpText, greek), part(opCont, "\xf4\x90\x80\x80"), final(opCont, "edited")), badText},
		{"6.4.2 fails inside a rune", join(part(OpText, greek+"\xf4"), part(opCont, "\x90"), final(opCont, "\x80\x80edited")), badText},
		{"8.1 ping inside a rune", join(part(OpText, "\xce"), final(OpPing, "\xff"), final(opCont, "\xba")), events(ping("\xff"), text("κ"))},
		{"5.6 binary is not judged", final(OpBinary, "\xff\xfe"), blob("\xff\xfe")},
	}
	for _, s := range validUTF8 {
		all = append(all, script{fmt.Sprintf("6.5-6.22 valid %x", s), join(final(OpText, s), octets(OpText, s)), events(text(s), text(s))})
	}
	for _, s := range invalidUTF8 {
		all = append(all,
			script{fmt.Sprintf("6.6-6.21 invalid %x", s), final(OpText, s), badText},
			script{fmt.Sprintf("6.6-6.21 invalid %x in fragments of one byte", s), octets(OpText, s), badText})
	}
	return all
}

// The boundary sequences of Autobahn's groups 6.5 to 6.23.
var (
	validUTF8 = []string{
		"κόσμε", "\x00", "\u0080", "\u0800", "\U00010000", "\x7f", "\u07ff", "\uffff",
		"\ud7ff", "\ue000", "\ufffd", "\U0010ffff", "\ufffe", "\U0001fffe", "\U000ffffe", "\U0010fffe",
		"\xef\xbf\xb0", "\xf3\xbf\xbf\xbf",
	}
	invalidUTF8 = []string{
		"\xce", "κ\xcf", "κό\xcf\x83\xce", "κόσμ\xce", // incomplete runes
		"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", // five and six bytes
		"\xf7\xbf\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", // over U+10FFFF
		"\x80", "\xbf", "\x80\xbf\x80", // continuation bytes alone
		"\xc0 ", "\xdf ", "\xe0 ", "\xf0 ", // start bytes alone
		"\xe0\x80", "\xe1\x80", "\xf0\x80\x80", "\xf1\x80\x80", // last byte missing
		"\xfe", "\xff", "\xfe\xfe\xff\xff",
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80", // overlong
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", // surrogates
	}
)

func closes() []script {
	long := "\x03\xe8" + strings.Repeat("*", 123)
	return []script{
		{"7.3.1 empty close", final(OpClose, ""), clos("")},
		{"7.3.2 close of one byte is left to ParseClose", final(OpClose, "a"), clos("a")},
		{"7.3.3 close with a code", final(OpClose, "\x03\xe8"), clos("\x03\xe8")},
		{"7.3.5 close with the longest reason", final(OpClose, long), clos(long)},
		{"7.3.6 close with a longer reason", final(OpClose, long+"*"), violation},
		{"7.1.5 close inside a message", join(part(OpText, "fragment1"), final(OpClose, ""), final(opCont, "fragment2")), events(clos(""), text("fragment1fragment2"))},
		{"5.5 fragmented close is refused", part(OpClose, "\x03\xe8"), violation},
	}
}

// rfcExamples are the examples of RFC 6455, section 5.7, that a client can send.
// The others come from a server, and a server refuses them.
func rfcExamples() []script {
	return []script{
		{"5.7 masked text", []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, text("Hello")},
		{"5.7 masked pong", []byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, pong("Hello")},
		{"5.7 unmasked text is refused", []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, violation},
		{"5.7 unmasked fragments are refused", []byte{0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}, violation},
		{"5.7 unmasked ping is refused", []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, violation},
	}
}
