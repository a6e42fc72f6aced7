package command

import "bytes"

// Elements returns the elements of the JSON array in text, borrowed, at most one more than most. A
// byte order mark before the array is skipped.
func Elements(text []byte, most int) (elements [][]byte, err *Error) {
	s := scanner{data: TrimBOM(text)}
	s.space()
	if s.peek() != '[' {
		return nil, errNotArray
	}
	s.pos++
	for s.space(); s.peek() != ']'; s.space() {
		if len(elements) > 0 && !s.comma() {
			return nil, errSyntax
		}
		t, ok := s.value(0)
		switch {
		case s.deep:
			return nil, errDepth
		case !ok:
			return nil, errSyntax
		}
		if elements = append(elements, s.raw(t)); len(elements) > most {
			return elements, nil
		}
	}
	if s.pos++; len(bytes.TrimLeft(s.data[s.pos:], " \t\r\n")) > 0 {
		return nil, errSyntax
	}
	return elements, nil
}
