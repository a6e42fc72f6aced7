package session

import (
	"fmt"
	"strings"
)

const hello = "Hello, world!"

// pingCases are group 2.
func pingCases() []conformanceCase {
	binary, long := "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("\xfe", 125)
	var ten string
	var tenPongs []frame
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		ten += final(opPing, payload)
		tenPongs = append(tenPongs, pong(payload))
	}
	return []conformanceCase{
		{"2.1 ping without payload", []step{{final(opPing, ""), whole, []frame{pong("")}}}, stays},
		{"2.2 ping with text", []step{{final(opPing, hello), whole, []frame{pong(hello)}}}, stays},
		{"2.3 ping with bytes that are not UTF-8", []step{{final(opPing, binary), whole, []frame{pong(binary)}}}, stays},
		{"2.4 ping of 125 bytes", []step{{final(opPing, long), whole, []frame{pong(long)}}}, stays},
		{"2.5 ping of 126 bytes is refused", []step{{final(opPing, long+"\xfe"), whole, nil}}, 1002},
		{"2.6 ping of 125 bytes in writes of one", []step{{final(opPing, long), 1, []frame{pong(long)}}}, stays},
		{"2.7 unsolicited pong without payload", []step{{final(opPong, ""), whole, nil}}, stays},
		{"2.8 unsolicited pong with payload", []step{{final(opPong, "unsolicited pong payload"), whole, nil}}, stays},
		{"2.9 unsolicited pong, then ping", []step{{final(opPong, "unsolicited pong payload") + final(opPing, "ping payload"), whole, []frame{pong("ping payload")}}}, stays},
		{"2.10 ten pings", []step{{ten, whole, tenPongs}}, stays},
		{"2.11 ten pings in writes of one byte", []step{{ten, 1, tenPongs}}, stays},
	}
}

// refusedBehind is a valid text, an invalid frame, and a ping that must not be
// answered.
func refusedBehind(name, bad string, chop int) conformanceCase {
	return conformanceCase{name, []step{{final(opText, hello) + bad + final(opPing, ""), chop, []frame{text(hello)}}}, 1002}
}

// refused is one invalid frame.
func refused(name, bad string) conformanceCase {
	return conformanceCase{name, []step{{bad, whole, nil}}, 1002}
}

// frameByFrame is the size of a write that holds one frame of 13 bytes of text.
const frameByFrame = 2 + 4 + len(hello)

// reservedBitCases are group 3.
func reservedBitCases() []conformanceCase {
	withBits := func(bits, op byte, payload string) string { return masked(0x80|bits<<4|op, payload) }
	return []conformanceCase{
		refused("3.1 reserved bits 1 on text", withBits(1, opText, hello)),
		refusedBehind("3.2 reserved bits 2 after a text", withBits(2, opText, hello), whole),
		refusedBehind("3.3 reserved bits 3, frame by frame", withBits(3, opText, hello), frameByFrame),
		refusedBehind("3.4 reserved bits 4, byte by byte", withBits(4, opText, hello), 1),
		refused("3.5 reserved bits 5 on binary", withBits(5, opBinary, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
		refused("3.6 reserved bits 6 on ping", withBits(6, opPing, hello)),
		refused("3.7 reserved bits 7 on close", withBits(7, opClose, "")),
	}
}

// opcodeCases are group 4.
func opcodeCases() []conformanceCase {
	return []conformanceCase{
		refused("4.1.1 opcode 3", final(3, "")),
		refused("4.1.2 opcode 4 with payload", final(4, "reserved opcode payload")),
		refusedBehind("4.1.3 opcode 5 after a text", final(5, ""), whole),
		refusedBehind("4.1.4 opcode 6 with payload after a text", final(6, hello), whole),
		refusedBehind("4.1.5 opcode 7 with payload, byte by byte", final(7, hello), 1),
		refused("4.2.1 opcode 11", final(11, "")),
		refused("4.2.2 opcode 12 with payload", final(12, "reserved opcode payload")),
		refusedBehind("4.2.3 opcode 13 after a text", final(13, ""), whole),
		refusedBehind("4.2.4 opcode 14 with payload after a text", final(14, hello), whole),
		refusedBehind("4.2.5 opcode 15 with payload, byte by byte", final(15, hello), 1),
	}
}

// fragmentCases are group 5. Most of its cases have three variants: in one write, frame
// by frame, and byte by byte.
func fragmentCases() []conformanceCase {
	const one, two = "fragment1", "fragment2"
	const frame9 = 2 + 4 + len(one) // size of a write that holds one of these frames
	pinged := part(opText, one) + final(opPing, "ping payl") + final(opContinuation, two)
	pingedWant := []frame{pong("ping payl"), text(one + two)}
	alone := final(opContinuation, "non-cont.") + final(opText, hello)
	aloneOpen := part(opContinuation, "non-cont.") + final(opText, hello)
	repeated := func(first string) string {
		return strings.Repeat(first+part(opText, two)+final(opContinuation, "fragment3"), 2)
	}
	var all []conformanceCase
	for i, chop := range []int{whole, frame9, 1} {
		how := [...]string{"in one write", "frame by frame", "byte by byte"}[i]
		all = append(all,
			conformanceCase{fmt.Sprintf("5.%d text in two fragments, %s", 3+i, how), []step{{part(opText, one) + final(opContinuation, two), chop, []frame{text(one + two)}}}, stays},
			conformanceCase{fmt.Sprintf("5.%d ping between fragments, %s", 6+i, how), []step{{pinged, chop, pingedWant}}, stays},
			conformanceCase{fmt.Sprintf("5.%d last fragment of nothing, %s", 9+i, how), []step{{alone, chop, nil}}, 1002},
			conformanceCase{fmt.Sprintf("5.%d fragment of nothing, %s", 12+i, how), []step{{aloneOpen, chop, nil}}, 1002})
	}
	return append(all,
		refused("5.1 ping in two fragments", part(opPing, one)+final(opContinuation, two)),
		refused("5.2 pong in two fragments", part(opPong, one)+final(opContinuation, two)),
		conformanceCase{"5.15 fragment of nothing after a message in two", []step{{
			part(opText, one) + final(opContinuation, two) + part(opContinuation, "fragment3") + final(opText, "fragment4"),
			whole, []frame{text(one + two)},
		}}, 1002},
		refused("5.16 fragment of nothing before a message in two, twice", repeated(part(opContinuation, one))),
		refused("5.17 last fragment of nothing before a message in two, twice", repeated(final(opContinuation, one))),
		refused("5.18 both fragments are text", part(opText, one)+final(opText, two)),
		fivePinged("5.19 five fragments with pings between", whole),
		fivePinged("5.20 five fragments with pings between, frame by frame", frame9))
}

// fivePinged waits for the first pong before it sends the rest.
func fivePinged(name string, chop int) conformanceCase {
	return conformanceCase{name, []step{
		{part(opText, "fragment1") + part(opContinuation, "fragment2") + final(opPing, "pongme 1!"), chop, []frame{pong("pongme 1!")}},
		{part(opContinuation, "fragment3") + part(opContinuation, "fragment4") + final(opPing, "pongme 2!") + final(opContinuation, "fragment5"), chop,
			[]frame{pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")}},
	}, stays}
}
