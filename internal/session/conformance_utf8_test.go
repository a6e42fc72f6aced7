package session

import (
	"fmt"
	"slices"
	"strings"
)

const (
	greek = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5" // κόσμε
	mixed = "Hello-µ@ßöäüàá-UTF-8!!"
)

// utf8Cases are group 6 without 6.4.
func utf8Cases() []conformanceCase {
	echoed := func(name, raw, message string) conformanceCase {
		return conformanceCase{name, []step{{raw, whole, []frame{text(message)}}}, stays}
	}
	failed := func(name, raw string) conformanceCase { return conformanceCase{name, []step{{raw, whole, nil}}, 1007} }
	all := []conformanceCase{
		echoed("6.1.1 empty text", final(opText, ""), ""),
		echoed("6.1.2 three empty fragments", part(opText, "")+part(opContinuation, "")+final(opContinuation, ""), ""),
		echoed("6.1.3 only the middle of three fragments holds bytes", part(opText, "")+part(opContinuation, "middle")+final(opContinuation, ""), "middle"),
		echoed("6.2.1 text in one frame", final(opText, mixed), mixed),
		echoed("6.2.2 text cut between runes", part(opText, mixed[:12])+final(opContinuation, mixed[12:]), mixed),
		echoed("6.2.3 text in fragments of one byte", fragments(opText, mixed, 1), mixed),
		echoed("6.2.4 text of long runes in fragments of one byte", fragments(opText, greek, 1), greek),
		failed("6.3.1 surrogate", final(opText, greek+"\xed\xa0\x80edited")),
		failed("6.3.2 surrogate in fragments of one byte", fragments(opText, greek+"\xed\xa0\x80edited", 1)),
	}
	for i, group := range utf8Sequences() {
		for j, s := range group {
			name, once, cut := fmt.Sprintf("6.%d.%d %.20x", i+5, j+1, s), final(opText, s), fragments(opText, s, 1)
			if validSequence(i+5, j+1) {
				all = append(all, echoed(name+" is valid", once, s), echoed(name+" is valid in fragments of one byte", cut, s))
			} else {
				all = append(all, failed(name+" is not valid", once), failed(name+" is not valid in fragments of one byte", cut))
			}
		}
	}
	return all
}

// validSequence reports whether case 6.group.number is valid UTF-8.
func validSequence(group, number int) bool {
	switch group {
	case 5, 7, 9, 22, 23:
		return true
	case 6: // valid where the prefix ends after a rune
		return slices.Contains([]int{2, 5, 7, 9, 11}, number)
	case 11:
		return number <= 4
	}
	return false
}

// utf8Sequences are the texts of 6.5 to 6.23. The suite sends each in one frame. The
// tests also send them in fragments of one byte, which other code checks.
func utf8Sequences() [][]string {
	var prefixes []string
	for n := 1; n <= len(greek); n++ {
		prefixes = append(prefixes, greek[:n])
	}
	cut := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	return [][]string{
		{"hello$world", "hello¢world", "hello€world", "hello\U00024b62world", greek}, // 6.5
		prefixes, // 6.6
		{"\x00", "\u0080", "\u0800", "\U00010000"},                               // 6.7
		{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"},                     // 6.8
		{"\x7f", "\u07ff", "\uffff", "\U0010ffff"},                               // 6.9
		{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}, // 6.10
		{"\ud7ff", "\ue000", "\ufffd", "\U0010ffff", "\xf4\x90\x80\x80"},         // 6.11
		{"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", span(0x80, 0xbf, "")}, // 6.12
		{span(0xc0, 0xdf, " "), span(0xe0, 0xef, " "), span(0xf0, 0xf7, " "), span(0xf8, 0xfb, " "), span(0xfc, 0xfd, " ")},                        // 6.13
		cut,                                  // 6.14
		{strings.Join(cut, "")},              // 6.15
		{"\xfe", "\xff", "\xfe\xfe\xff\xff"}, // 6.16
		{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"},             // 6.17
		{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"},             // 6.18
		{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"},             // 6.19
		{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"}, // 6.20
		surrogatePairs(), // 6.21
		nonCharacters(),  // 6.22
		{"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"}, // 6.23
	}
}

// span returns the bytes from first up to, but not including, last. behind follows each.
func span(first, last byte, behind string) string {
	var b strings.Builder
	for c := first; c < last; c++ {
		b.WriteByte(c)
		b.WriteString(behind)
	}
	return b.String()
}

// surrogatePairs are UTF-16 surrogate pairs, with each half encoded separately.
func surrogatePairs() (all []string) {
	for _, high := range []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf"} {
		for _, low := range []string{"\xed\xb0\x80", "\xed\xbf\xbf"} {
			all = append(all, high+low)
		}
	}
	return all
}

// nonCharacters are the last two code points of every plane. They are valid UTF-8.
func nonCharacters() (all []string) {
	all = []string{"\ufffe", "\uffff"}
	for plane := rune(1); plane <= 0x10; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}

// failFastCases are group 6.4: a text must be refused at its first invalid byte, not
// when the message is complete. Nothing after that byte is sent. A ping shows that the
// server accepts the part before it.
func failFastCases() []conformanceCase {
	const bad = greek + "\xf4\x90\x80\x80" + "edited" // wrong from the second byte of \xf4\x90 on
	const good = len(greek)
	fine := step{final(opPing, "fine"), whole, []frame{pong("fine")}}
	frame := final(opText, bad)
	head := len(frame) - len(bad)
	return []conformanceCase{
		{"6.4.1 in the second of three fragments", []step{{part(opText, bad[:good]), whole, nil}, fine, {part(opContinuation, bad[good:good+4]), whole, nil}}, 1007},
		{"6.4.2 at the last byte of the second fragment", []step{{part(opText, bad[:good+1]), whole, nil}, fine, {part(opContinuation, bad[good+1:good+2]), whole, nil}}, 1007},
		{"6.4.3 in the second of three writes of a frame", []step{fine, {frame[:head+good], whole, nil}, {frame[head+good : head+good+4], whole, nil}}, 1007},
		{"6.4.4 at the last byte of the second write", []step{fine, {frame[:head+good+1], whole, nil}, {frame[head+good+1 : head+good+2], whole, nil}}, 1007},
	}
}
