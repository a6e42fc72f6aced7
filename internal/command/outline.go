package command

import "bytes"

// field is a member that this package knows, or fieldOther.
type field uint8

const (
	fieldOther field = iota
	fieldID
	fieldCommand // this field and those below must not be ambiguous
	fieldArgs
	fieldChannel
	fieldContent
	fieldChannels // this field and those below are known only where a broadcast has them
	fieldUser
	fieldUsers
	fieldExcept
	fieldEcho
	fieldMembers
	fieldSince // this field and those below are known only where a join has them
	fieldLast
	fields
)

// fieldNames are the names of the fields.
var fieldNames = [fields]string{
	"", "id", "command", "args", "channel", "content", "channels", "user", "users", "except", "echo", "members", "since", "last",
}

// fieldSet has one bit for each field.
type fieldSet uint16

// always are the fields that must not be ambiguous in any message or body.
const always fieldSet = 1<<fieldCommand | 1<<fieldArgs | 1<<fieldChannel | 1<<fieldContent

// outline holds the positions of the known members of a message or a body.
type outline struct {
	top    [fields]token // members of the object itself
	inArgs [fields]token // members of args; valid only if args is an object
	seen   [2]fieldSet   // the known members of the object and of args, as foldedField knows them
	// ambiguous has the known members other than id, of the object and of args, that repeat
	// or are written in another case. Decoders differ in which of two members counts and
	// whether case matters.
	ambiguous [2]fieldSet
}

// unclear returns the error of an outline in which a member is ambiguous that must not be.
// set are the fields of a broadcast at that level, 0 or 1 as in ambiguous.
func (e *outline) unclear(level int, set fieldSet) *Error {
	switch {
	case (e.ambiguous[0]|e.ambiguous[1])&always != 0:
		return errAmbiguous
	case e.ambiguous[level]&set != 0:
		return errAmbiguousWhom
	}
	return nil
}

// bom is the byte order mark in UTF-8.
const bom = "\uFEFF"

// TrimBOM returns p without the byte order mark that some programs put before a
// text. A parser may ignore it (RFC 8259, section 8.1). Parse and ParsePublication do.
func TrimBOM(p []byte) []byte { return bytes.TrimPrefix(p, []byte(bom)) }

// outline scans the whole input into e. When it returns an error, e holds the
// complete members before the error. A member is complete with the comma or
// bracket after it.
func (s *scanner) outline(e *outline) *Error {
	s.pos = len(s.data) - len(TrimBOM(s.data))
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

// object scans an object of the outline at nesting level depth, 1 or 2, and
// stores its members in found.
func (s *scanner) object(e *outline, found *[fields]token, depth int) bool {
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

// member scans one member, up to the comma or bracket that ends it, and stores it
// in found.
func (s *scanner) member(e *outline, found *[fields]token, depth int) bool {
	name, ok := s.nameToken()
	if !ok {
		return false
	}
	f, exact := s.field(name)
	e.seen[depth-1] |= 1 << f
	if f > fieldID && (!exact || found[f].kind != 0) {
		e.ambiguous[depth-1] |= 1 << f
	}
	t := token{start: s.pos, kind: s.peek()}
	if f == fieldArgs && t.kind == '{' && depth == 1 {
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

// maxName is the size of the longest form of a known name: eight letters, as in
// "channels", each written as \uXXXX.
const maxName = 8 * 6

// field returns the known member that name stands for in any case, and whether name
// matches exactly.
func (s *scanner) field(name token) (f field, exact bool) {
	raw := s.data[name.start+1 : name.end-1]
	if len(raw) > maxName {
		return fieldOther, false
	}
	if name.escaped {
		var buf [3 * maxName]byte
		raw = appendUnquoted(buf[:0], raw)
	}
	switch string(raw) {
	case "command":
		return fieldCommand, true
	case "args":
		return fieldArgs, true
	case "id":
		return fieldID, true
	case "channel":
		return fieldChannel, true
	case "content":
		return fieldContent, true
	}
	f = foldedField(raw)
	return f, fieldNames[f] == string(raw)
}

// longS is the first byte of an ſ, which is an s in another case.
const longS = 0xC5

// foldedField returns the known member that name stands for to a decoder that
// ignores case. As in encoding/json, case is Unicode's simple folding: "argſ" is
// args, and each s may take a byte more. No other letter of the known names has a fold
// of more than one byte.
func foldedField(name []byte) field {
	for f := fieldID; f < fields; f++ {
		known := fieldNames[f]
		if more := len(name) - len(known); more >= 0 && more <= 2 && (name[0]|0x20 == known[0] || name[0] == longS) && bytes.EqualFold(name, []byte(known)) {
			return f
		}
	}
	return fieldOther
}

// raw returns the bytes of t, borrowed from the input.
func (s *scanner) raw(t token) []byte { return s.data[t.start:t.end:t.end] }

// between returns the bytes between the quotes of the string t, borrowed.
func (s *scanner) between(t token) []byte { return s.data[t.start+1 : t.end-1 : t.end-1] }
