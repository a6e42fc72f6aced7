package wire

import "unicode/utf8"

// textCheck checks UTF-8 that arrives in pieces. Between calls it holds the
// beginning of a rune that a piece ended in, at most three bytes. The zero value is
// ready.
type textCheck struct {
	carry [utf8.UTFMax]byte
	n     uint8
}

// feed takes the next piece and reports whether everything so far can still become
// valid UTF-8. It returns false at the first impossible byte.
func (t *textCheck) feed(p []byte) bool {
	for t.n > 0 && len(p) > 0 {
		if !t.push(p[0]) {
			return false
		}
		p = p[1:]
	}
	tail := cutRune(p)
	t.n += uint8(copy(t.carry[t.n:], p[len(p)-tail:]))
	return utf8.Valid(p[:len(p)-tail])
}

// push adds one byte to the rune being carried.
func (t *textCheck) push(b byte) bool {
	t.carry[t.n] = b
	t.n++
	held := t.carry[:t.n]
	if !utf8.FullRune(held) { // still the prefix of a rune
		return true
	}
	r, size := utf8.DecodeRune(held)
	t.n = 0
	return r != utf8.RuneError || size > 1
}

// complete reports whether the text may end here: no rune is incomplete.
func (t *textCheck) complete() bool { return t.n == 0 }

// cutRune returns how many bytes at the end of p, 0 to 3, begin an incomplete rune.
// Bytes that no continuation can make valid do not count: utf8.FullRune reports an
// impossible prefix as a full rune of width one.
func cutRune(p []byte) int {
	for i := 1; i <= min(len(p), utf8.UTFMax-1); i++ {
		if b := p[len(p)-i]; !utf8.RuneStart(b) {
			continue
		}
		if utf8.FullRune(p[len(p)-i:]) {
			return 0
		}
		return i
	}
	return 0
}
