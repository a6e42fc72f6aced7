package command

import (
	"bytes"
	"unicode/utf8"
)

// Publication is the body of POST /broadcast. Its slices are borrowed from the body
// and valid until it is overwritten. A name that had to be decoded has its own memory.
type Publication struct {
	Channel []byte // decoded, without white space around it, never empty and not reserved
	Content []byte // raw JSON as sent; null when none was sent
}

// ParsePublication reads a body in one of two forms. Version 3 documented the
// second:
//
//	{"channel":"news","content":{"any":"JSON"}}
//	{"channel":"news","args":{"content":{"any":"JSON"}}}
//
// A content of the outer object, even null, has precedence over the one in args.
// Members match as in a message; the package comment has the rules.
// It allocates only for a channel that has to be decoded and for an absent
// content.
func ParsePublication(body []byte) (Publication, *Error) {
	s := scanner{data: body}
	var e envelope
	if err := s.envelope(&e); err != nil {
		return Publication{}, err
	}
	if e.ambiguous {
		return Publication{}, errAmbiguous
	}
	args := e.top[fieldArgs]
	if !args.absent() && args.kind != '{' {
		return Publication{}, errArgsType
	}
	name := e.top[fieldChannel]
	if err := s.checkChannel(name); err != nil {
		return Publication{}, err
	}
	channel := bytes.TrimSpace(s.text(name))
	if err := checkName(channel); err != nil {
		return Publication{}, err
	}
	content := e.top[fieldContent]
	if content.kind == 0 && args.kind == '{' {
		content = e.inArgs[fieldContent]
	}
	if content.kind == 0 {
		return Publication{channel, []byte("null")}, nil
	}
	return Publication{channel, s.raw(content)}, nil
}

// text returns the decoded text of the string t. It is part of the body if the text
// needs no decoding, otherwise in new memory.
func (s *scanner) text(t token) []byte {
	raw := s.between(t)
	if !t.escaped && utf8.Valid(raw) {
		return raw
	}
	return appendUnquoted(nil, raw)
}
