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
	Whom    *Whom  // nil for everybody in Channel; Channel is empty when it is Targeted
}

// ParsePublication reads a body in one of two forms. Version 3 documented the
// second:
//
//	{"channel":"news","content":{"any":"JSON"}}
//	{"channel":"news","args":{"content":{"any":"JSON"}}}
//
// In place of channel it may have channels, user or users, and besides except, beside
// args in the second form.
// A content of the outer object, even null, has precedence over the one in args.
// Members match as in a message; the package comment has the rules.
// It allocates only for a channel that has to be decoded and for an absent
// content.
func ParsePublication(body []byte) (Publication, *Error) {
	s := scanner{data: body}
	var e outline
	if err := s.outline(&e); err != nil {
		return Publication{}, err
	}
	if err := e.unclear(0, whomOfBody); err != nil {
		return Publication{}, err
	}
	args := e.top[fieldArgs]
	if !args.absent() && args.kind != '{' {
		return Publication{}, errArgsType
	}
	if misplaced(&e.inArgs, e.seen[1]&whomOfBody) {
		return Publication{}, errInsideArgs
	}
	var p Publication
	var err *Error
	if e.seen[0]&whomOfBody != 0 {
		if p.Whom, err = s.whom(&e.top, whomOfBody); err != nil {
			return Publication{}, err
		}
	}
	if !p.Whom.Targeted() {
		if p.Channel, err = s.channel(e.top[fieldChannel]); err != nil {
			return Publication{}, err
		}
	}
	content := e.top[fieldContent]
	if content.kind == 0 && args.kind == '{' {
		content = e.inArgs[fieldContent]
	}
	if content.kind == 0 {
		p.Content = []byte("null")
	} else {
		p.Content = s.raw(content)
	}
	return p, nil
}

// channel reads the channel in t.
func (s *scanner) channel(t token) ([]byte, *Error) {
	if err := s.checkChannel(t); err != nil {
		return nil, err
	}
	channel := bytes.TrimSpace(s.text(t))
	return channel, CheckName(channel)
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
