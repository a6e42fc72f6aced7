package auth

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// Answer is what the headers of an answer say besides the decision. It is immutable.
type Answer struct {
	// User says who the connection is: X-Wsify-User, decoded. It has 1 to MaxUser bytes of UTF-8; empty
	// means that the answer names nobody.
	User string

	// Join are the channels that the connection joins at once: X-Wsify-Join, decoded, in order, each
	// UTF-8 and not empty. There may be as many as a head has room for.
	Join []string

	// Expires is how long the connection may live: X-Wsify-Expires, at least a nanosecond. Zero means
	// that the answer sets no bound.
	Expires time.Duration

	// Reason says why the answer is a no: X-Wsify-Reason, decoded. It has at most MaxReason bytes of
	// UTF-8, and no control characters; empty means that the answer gives none.
	Reason string

	// MaxAge is for how long the same question may have this answer without a call, by Cache-Control;
	// zero means never. With Public, others may have it, too.
	MaxAge time.Duration
	Public bool

	// Ignored are the headers that break a rule. They have no effect.
	Ignored []*HeaderError
}

// Header is a header of an answer that has an effect. There is a small fixed set, so that it can be a
// label of a metric and index an array of NumHeaders.
type Header uint8

const (
	InUser         Header = iota // X-Wsify-User
	InJoin                       // X-Wsify-Join
	InExpires                    // X-Wsify-Expires
	InReason                     // X-Wsify-Reason
	InCacheControl               // Cache-Control
	NumHeaders                   // their number; not a header
)

var headerNames = [NumHeaders]string{HeaderUser, "X-Wsify-Join", "X-Wsify-Expires", "X-Wsify-Reason", "Cache-Control"}

// String returns the header's name.
func (h Header) String() string { return headerNames[h] }

// Bounds on decoded headers, in bytes.
const (
	MaxUser   = 255
	MaxReason = 200
)

// maxExpires is the longest life that an answer can allow: 100 years.
const maxExpires = 100 * 365 * 24 * 3600 * time.Second

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
	errRepeated   = errors.New("it is there more than once")
	errEmpty      = errors.New("it is empty")
	errPercent    = errors.New("a % is not followed by two hexadecimal digits")
	errUTF8       = errors.New("it is not UTF-8 when it is decoded")
	errLongUser   = errors.New("it has more than 255 bytes when it is decoded")
	errSeconds    = errors.New("it is not a number of seconds")
	errLongReason = errors.New("it has more than 200 bytes when it is decoded")
	errControl    = errors.New("it has a control character when it is decoded")
)

// answerOf reads the headers of an answer. It returns nil, and allocates nothing, if none concerns us.
func answerOf(r *fasthttp.Response) *Answer {
	var a Answer
	switch d, _ := judge(r.StatusCode()); d {
	case Allow:
		a.User = one(&a, r, InUser, readUser)
		a.readJoin(r)
		a.Expires = one(&a, r, InExpires, readExpires)
		a.readFreshness(r)
	case Deny:
		a.Reason = one(&a, r, InReason, readReason)
		a.readFreshness(r)
	}
	if a.User == "" && a.Join == nil && a.Expires == 0 && a.Reason == "" && a.MaxAge == 0 && a.Ignored == nil {
		return nil
	}
	found := a // so that only what is found is allocated
	return &found
}

// one returns the value of a header that may be there once.
func one[T any](a *Answer, r *fasthttp.Response, h Header, read func(value string) (T, error)) (value T) {
	values := r.Header.PeekAll(h.String())
	if len(values) == 0 {
		return value
	}
	decoded, err := value, errRepeated
	if len(values) == 1 {
		decoded, err = read(string(values[0]))
	}
	if err != nil {
		a.Ignored = append(a.Ignored, &HeaderError{h, err})
		return value
	}
	return decoded
}

// readUser reads the value of X-Wsify-User.
func readUser(value string) (string, error) {
	user, err := decode(value)
	if err == nil && len(user) > MaxUser {
		err = errLongUser
	}
	return user, err
}

// readJoin sets what X-Wsify-Join says. One name that cannot be read spoils the whole list: what it
// meant is not known.
func (a *Answer) readJoin(r *fasthttp.Response) {
	headers := r.Header.PeekAll(InJoin.String())
	if len(headers) == 0 {
		return
	}
	names, err := joinsOf(headers)
	if err != nil {
		a.Ignored = append(a.Ignored, &HeaderError{InJoin, err})
		return
	}
	a.Join = names
}

// joinsOf returns the names in headers, which are one list; RFC 9110, section 5.6.1.
func joinsOf(headers [][]byte) (names []string, err error) {
	for _, h := range headers {
		for part := range strings.SplitSeq(string(h), ",") {
			if part = strings.Trim(part, " \t"); part == "" {
				continue
			}
			name, err := decode(part)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// readExpires reads the value of X-Wsify-Expires. A time that is over must not become a life without
// end: a webhook that subtracts its clock from a token's end sends 0 or less, and that is a bound.
func readExpires(value string) (time.Duration, error) {
	if strings.Trim(value, "-.0123456789") != "" { // ParseFloat reads more
		return 0, errSeconds
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, errSeconds
	}
	return max(time.Duration(min(seconds, maxExpires.Seconds())*float64(time.Second)), 1), nil
}

// readReason reads the value of X-Wsify-Reason.
func readReason(value string) (string, error) {
	reason, err := decode(value)
	switch {
	case err != nil:
	case len(reason) > MaxReason:
		err = errLongReason
	case strings.ContainsFunc(reason, unicode.IsControl):
		err = errControl
	}
	return reason, err
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
