package command

import "bytes"

// field names a member that means something to us.
type field uint8

const (
	fieldOther field = iota
	fieldCommand
	fieldArgs
	fieldID
	fieldChannel
	fieldContent
	fields
)

// envelope is the outer form of a message or a body: where in the input the
// members are that mean something to us. A later member takes the place of an
// earlier one with the same name.
type envelope struct {
	top    [fields]token // members of the object itself
	inArgs [fields]token // members of args; of meaning only while args is an object
}

// envelope scans the whole input into e. When it returns an error, e holds the
// members that were complete, with the comma or bracket behind them, up to the
// place where the input is broken.
func (s *scanner) envelope(e *envelope) *Error {
	s.space()
	if s.peek() != '{' {
		return errNotObject
	}
	if s.object(e, &e.top, 1) {
		if s.space(); s.pos == len(s.data) {
			return nil
		}
	}
	if s.deep {
		return errDepth
	}
	return errSyntax
}

// object scans an object of the envelope at nesting level depth, 1 or 2, and
// notes its members in found.
func (s *scanner) object(e *envelope, found *[fields]token, depth int) bool {
	*found = [fields]token{}
	s.pos++
	if s.space(); s.peek() == '}' {
		s.pos++
		return true
	}
	for {
		if !s.member(e, found, depth) {
			return false
		}
		if s.peek() == '}' {
			s.pos++
			return true
		}
		s.comma()
	}
}

// member scans one member, up to the comma or bracket that ends it, and notes it
// in found.
func (s *scanner) member(e *envelope, found *[fields]token, depth int) bool {
	name, ok := s.nameToken()
	if !ok {
		return false
	}
	f := s.field(name, depth)
	t := token{start: s.pos, kind: s.peek()}
	if f == fieldArgs && t.kind == '{' {
		ok = s.object(e, &e.inArgs, depth+1)
		t.end = s.pos
	} else {
		t, ok = s.value(depth)
	}
	if !ok {
		return false
	}
	s.space()
	if c := s.peek(); c != ',' && c != '}' {
		return false
	}
	found[f] = t
	return true
}

// maxName is the size of the longest name that can still mean something:
// "command" or its like, with each letter written as \uXXXX.
const maxName = 7 * 6

// field returns which of our members name is. Case matters only inside args
// (depth 2): version 3 read the message into a struct, and args into a map.
func (s *scanner) field(name token, depth int) field {
	raw := s.data[name.start+1 : name.end-1]
	if len(raw) > maxName {
		return fieldOther
	}
	if name.escaped {
		var buf [3 * maxName]byte
		raw = appendUnquoted(buf[:0], raw)
	}
	if depth == 1 {
		return foldedField(raw)
	}
	switch string(raw) {
	case "channel":
		return fieldChannel
	case "content":
		return fieldContent
	}
	return fieldOther
}

// foldedField returns the member of the outer object that name is, regardless of
// case. As in encoding/json that is Unicode's simple folding: "argſ" is args.
func foldedField(name []byte) field {
	switch string(name) {
	case "command":
		return fieldCommand
	case "args":
		return fieldArgs
	case "id":
		return fieldID
	case "channel":
		return fieldChannel
	case "content":
		return fieldContent
	}
	switch {
	case len(name) < 2 || len(name) > 7:
		return fieldOther
	case bytes.EqualFold(name, []byte("command")):
		return fieldCommand
	case bytes.EqualFold(name, []byte("args")):
		return fieldArgs
	case bytes.EqualFold(name, []byte("id")):
		return fieldID
	case bytes.EqualFold(name, []byte("channel")):
		return fieldChannel
	case bytes.EqualFold(name, []byte("content")):
		return fieldContent
	}
	return fieldOther
}

// raw returns the bytes of t, borrowed from the input.
func (s *scanner) raw(t token) []byte { return s.data[t.start:t.end:t.end] }

// between returns what stands between the quotes of the string t, borrowed.
func (s *scanner) between(t token) []byte { return s.data[t.start+1 : t.end-1 : t.end-1] }
