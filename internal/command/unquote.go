package command

import (
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnquoted appends the text of a scanned string to dst. raw is the bytes
// between its quotes. As in encoding/json, a surrogate without its other half and
// each byte that is not UTF-8 become U+FFFD. The appended text is therefore valid
// UTF-8.
func appendUnquoted(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '\\' && raw[i+1] == 'u':
			r, n := unescapeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		case c == '\\':
			dst = append(dst, unescapeByte(raw[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}

// unescapeByte returns the character of the escape sequence backslash, c.
func unescapeByte(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // " \ /
}

// unescapeRune returns the character of the \uXXXX at the start of p, and its size
// in p: 6 bytes, or 12 for a surrogate pair.
func unescapeRune(p []byte) (r rune, n int) {
	r = hex4(p[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(p) >= 12 && p[6] == '\\' && p[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(p[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hasLoneSurrogate reports whether a scanned string has \uD800 to \uDFFF without its
// other half. raw is the bytes between its quotes.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		r, n := unescapeRune(raw[i-1:])
		if r == utf8.RuneError && hex4(raw[i+1:]) != utf8.RuneError {
			return true
		}
		i += n - 2
	}
	return false
}

// hex4 returns the value of the four hexadecimal digits that p begins with, or
// -1 if p begins otherwise.
func hex4(p []byte) rune {
	if len(p) < 4 {
		return -1
	}
	var r rune
	for _, c := range p[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
