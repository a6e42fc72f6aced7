package auth

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// freshness is what Cache-Control says of an answer; RFC 9111, section 5.2.2. The zero value is an
// answer that must not be kept.
type freshness struct {
	maxAge time.Duration
	public bool // it may be given to others
}

// maxFresh bounds max-age, as RFC 9111, section 1.2.2, advises.
const maxFresh = 1 << 31 * time.Second

var (
	errDirective = errors.New("it is not a list of directives")
	errMaxAge    = errors.New("max-age is not a whole number of seconds")
	errTwoAges   = errors.New("max-age is there more than once")
)

// directives collects what the Cache-Control headers of one answer say.
type directives struct {
	maxAge          time.Duration
	aged, never     bool // there is a max-age; the answer must not be kept
	public, private bool
	err             error
}

// freshnessOf reads the headers of an answer. Several are one list; RFC 9110, section 5.3.
func freshnessOf(headers [][]byte) (freshness, error) {
	var d directives
	for _, h := range headers {
		d.read(string(h))
	}
	if d.err != nil || d.never {
		return freshness{}, d.err
	}
	return freshness{d.maxAge, d.public && !d.private && d.maxAge > 0}, nil
}

// read reads one header.
func (d *directives) read(rest string) {
	for d.err == nil {
		rest = strings.TrimLeft(rest, ", \t") // empty parts are nothing
		if rest == "" {
			return
		}
		var name, value string
		name, value, rest, d.err = directive(rest)
		if d.err == nil {
			d.note(strings.ToLower(name), value)
		}
	}
}

// note notes one directive. Those that bind shared caches only (s-maxage), or say what happens to
// answers that are too old, have no effect: no such answer is used.
func (d *directives) note(name, value string) {
	switch name {
	case "no-store", "no-cache":
		d.never = true
	case "public":
		d.public = true
	case "private":
		d.private = true
	case "max-age":
		if d.aged {
			d.err = errTwoAges
			return
		}
		d.aged = true
		d.maxAge, d.err = readMaxAge(value)
	}
}

// readMaxAge reads the value of max-age. A number that is too large is a large one.
func readMaxAge(value string) (time.Duration, error) {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, errMaxAge
	}
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err != nil { // only its size is left
		return maxFresh, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

// directive reads the first directive of a list, with a value as a token or a quoted string; RFC
// 9110, section 5.6. rest begins with a comma, or is empty.
func directive(s string) (name, value, rest string, err error) {
	name, rest = token(s)
	if name == "" {
		return "", "", "", errDirective
	}
	if strings.HasPrefix(rest, "=") {
		if value, rest = token(rest[1:]); value == "" {
			value, rest, err = quoted(rest)
		}
	}
	rest = strings.TrimLeft(rest, " \t")
	if err == nil && rest != "" && rest[0] != ',' {
		err = errDirective
	}
	return name, value, rest, err
}

// token returns the longest token that s begins with.
func token(s string) (tok, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// quoted returns the text of the quoted string that s begins with.
func quoted(s string) (text, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errDirective
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errDirective
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errDirective
}

// readFreshness sets what Cache-Control says of the answer.
func (a *Answer) readFreshness(r *fasthttp.Response) {
	headers := r.Header.PeekAll(InCacheControl.String())
	if len(headers) == 0 {
		return
	}
	fresh, err := freshnessOf(headers)
	if err != nil {
		a.Ignored = append(a.Ignored, &HeaderError{InCacheControl, err})
	}
	a.MaxAge, a.Public = fresh.maxAge, fresh.public
}
