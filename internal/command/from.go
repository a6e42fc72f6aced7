package command

import "strconv"

// MaxSinceSize is how many bytes a position may have.
const MaxSinceSize = 64

// maxLastSize is how many digits last may have.
const maxLastSize = 9

// From says where a join of a channel with history begins. It is not validated before Read,
// because a channel without history has no such members: there they are for the authorizer.
type From struct {
	since   []byte // raw JSON as sent; nil when absent
	last    []byte
	unclear bool // a name repeats or is written in another case
}

// fromOfArgs are the members of args that make a From.
const fromOfArgs fieldSet = 1<<fieldSince | 1<<fieldLast

// from reads the members of a From. e has one of them.
func (s *scanner) from(e *outline) *From {
	f := &From{unclear: e.ambiguous[1]&fromOfArgs != 0}
	if since := e.inArgs[fieldSince]; !since.absent() {
		f.since = s.raw(since)
	}
	if last := e.inArgs[fieldLast]; !last.absent() {
		f.last = s.raw(last)
	}
	return f
}

// Read returns what f says, which may be nil: after the position since, if asked, or the newest
// last publications, or neither.
func (f *From) Read() (since []byte, asked bool, last int, err *Error) {
	switch {
	case f == nil:
		return nil, false, 0, nil
	case f.unclear:
		return nil, false, 0, errFromUnclear
	case f.since != nil && f.last != nil:
		return nil, false, 0, errSinceAndLast
	case f.since != nil:
		since, err = f.readSince()
		return since, true, 0, err
	case f.last != nil:
		last, err = f.readLast()
		return nil, false, last, err
	}
	return nil, false, 0, nil
}

func (f *From) readSince() ([]byte, *Error) {
	if f.since[0] != '"' {
		return nil, errSince
	}
	since := appendUnquoted(nil, f.since[1:len(f.since)-1])
	if len(since) > MaxSinceSize {
		return nil, errSince
	}
	return since, nil
}

// readLast refuses signs, fractions and exponents: decoders read them in different ways.
func (f *From) readLast() (int, *Error) {
	if len(f.last) > maxLastSize || !isDigit(f.last[0]) {
		return 0, errLast
	}
	n, err := strconv.Atoi(string(f.last))
	if err != nil {
		return 0, errLast
	}
	return n, nil
}
