package auth

import (
	"errors"
	"net/url"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// Answer is what the headers of an answer say besides the decision. It is immutable.
type Answer struct {
	// User says who the connection is: X-Wsify-User, decoded. It has 1 to MaxUser bytes of UTF-8; empty
	// means that the answer names nobody.
	User string

	// Ignored are the headers that break a rule. They have no effect.
	Ignored []*HeaderError
}

// Header is a header of an answer that has an effect. There is a small fixed set, so that it can be a
// label of a metric and index an array of NumHeaders.
type Header uint8

const (
	InUser     Header = iota // X-Wsify-User
	NumHeaders               // their number; not a header
)

var headerNames = [NumHeaders]string{HeaderUser}

// String returns the header's name.
func (h Header) String() string { return headerNames[h] }

// MaxUser is how many bytes the name of a user may have.
const MaxUser = 255

// HeaderError says why a header of an answer is ignored.
type HeaderError struct {
	Header Header
	Err    error
}

// Error returns the header's name and the reason.
func (e *HeaderError) Error() string { return e.Header.String() + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *HeaderError) Unwrap() error { return e.Err }

var (
	errRepeated = errors.New("it is there more than once")
	errEmpty    = errors.New("it is empty")
	errPercent  = errors.New("a % is not followed by two hexadecimal digits")
	errUTF8     = errors.New("it is not UTF-8 when it is decoded")
	errLongUser = errors.New("it has more than 255 bytes when it is decoded")
)

// answerOf reads the headers of an answer. It returns nil, and allocates nothing, if none concerns us.
func answerOf(r *fasthttp.Response) *Answer {
	var a Answer
	if r.StatusCode() == fasthttp.StatusOK {
		a.User = a.one(r, InUser, readUser)
	}
	if a.User == "" && a.Ignored == nil {
		return nil
	}
	found := a // so that only what is found is allocated
	return &found
}

// one returns the value of a header that may be there once.
func (a *Answer) one(r *fasthttp.Response, h Header, read func(value string) (string, error)) string {
	values := r.Header.PeekAll(h.String())
	if len(values) == 0 {
		return ""
	}
	value, err := "", errRepeated
	if len(values) == 1 {
		value, err = read(string(values[0]))
	}
	if err != nil {
		a.Ignored = append(a.Ignored, &HeaderError{h, err})
		return ""
	}
	return value
}

// readUser reads the value of X-Wsify-User.
func readUser(value string) (string, error) {
	user, err := decode(value)
	if err == nil && len(user) > MaxUser {
		err = errLongUser
	}
	return user, err
}

// decode decodes percent-encoded text, which must not be empty.
func decode(value string) (string, error) {
	text, err := url.PathUnescape(value)
	switch {
	case err != nil:
		return "", errPercent
	case text == "":
		return "", errEmpty
	case !utf8.ValidString(text):
		return "", errUTF8
	}
	return text, nil
}
