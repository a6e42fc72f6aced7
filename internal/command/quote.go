package command

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// appendQuoted appends text as a JSON string, as encoding/json does, but without escapes
// that only HTML needs. A byte that is not UTF-8 becomes U+FFFD. U+2028 and U+2029 end a
// line in old JavaScript, and are escaped.
func appendQuoted[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	done := 0 // text before it is in dst
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				dst = append(dst, text[done:i]...)
				dst = appendEscape(dst, c)
				done = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
			dst = append(dst, text[done:i]...)
			dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			done = i + n
		}
		i += n
	}
	dst = append(dst, text[done:]...)
	return append(dst, '"')
}

// appendEscape appends the escape sequence of a control character, quote or backslash.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// Valid reports whether text is one JSON value in UTF-8, white space around it included,
// that nests at most MaxDepth deep.
func Valid(text []byte) bool {
	s := scanner{data: text}
	s.space()
	if _, ok := s.value(0); !ok {
		return false
	}
	s.space()
	return s.pos == len(text) && utf8.Valid(text)
}

// plain reports whether text needs no escape in a JSON string: printable ASCII
// without quote and backslash.
func plain(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
