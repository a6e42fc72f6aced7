package publish

import (
	"bytes"
	"math/rand/v2"
	"mime"
	"strconv"
	"unicode/utf8"

	"wsify/internal/command"
	"wsify/internal/wire"
)

// Path is the URL path where backends publish. Methods are the methods allowed there.
const (
	Path    = "/broadcast"
	Methods = "POST, OPTIONS"
)

// Headers of answers. Each line ends with CRLF.
const (
	AllowCORS = "Access-Control-Allow-Origin: *\r\n" // in every answer
	Preflight = "Access-Control-Allow-Methods: " + Methods + "\r\n" +
		"Access-Control-Allow-Headers: Content-Type, Authorization\r\nAccess-Control-Max-Age: 86400\r\n" // in the answer to OPTIONS
)

// Rules are the rules for requests. They are immutable.
type Rules struct {
	Keys             Keys
	MaxMessageSize   int // bytes of a body
	MaxHeadSize      int // bytes of the extensions and trailers of a chunked body
	MaxChannelLength int // bytes
}

// Reason is why a publication was refused before it reached the broker.
type Reason uint8

// The reasons. Reasons has their names, which metrics and logs use.
const (
	WrongKey      Reason = iota // wrong or missing key
	WrongMethod                 // neither POST nor OPTIONS
	WrongType                   // not JSON, or with a Content-Encoding
	TooLarge                    // over MaxMessageSize
	Malformed                   // not a publication, or a malformed body
	Timeout                     // the body did not arrive in time
	ShuttingDown                // this node is shutting down
	ShortOfMemory               // -max-memory: the body was unfinished
	NumReasons
)

// Reasons are the names of the reasons.
var Reasons = [NumReasons]string{"key", "method", "media_type", "too_large", "malformed", "timeout", "shutdown", "memory"}

// Refusal is the answer to a refused request. The zero value means not refused.
type Refusal struct {
	Reason  Reason
	Status  int
	Headers string // in addition to those of every answer
	Detail  string
}

var tooLarge = Refusal{TooLarge, 413, "", "the body is larger than -max-message-size"}

// Draining returns the refusal of a node that is shutting down.
func Draining() Refusal {
	return Refusal{ShuttingDown, 503, RetryAfter(), "this node is shutting down"}
}

// RetryAfter returns a Retry-After header line. The delay, in seconds, is random, so that
// clients that were refused together do not all retry together.
func RetryAfter() string {
	const most = 9
	return "Retry-After: " + strconv.Itoa(1+rand.IntN(most)) + "\r\n"
}

// Judge refuses a request if its head suffices for that. draining: this node is shutting down.
func (r *Rules) Judge(req *wire.Request, draining bool) Refusal {
	kinds, json, plain := 0, true, true
	for name, value := range req.Headers {
		switch {
		case bytes.EqualFold(name, []byte("Content-Type")):
			kinds++
			json = json && areJSON(value)
		case bytes.EqualFold(name, []byte("Content-Encoding")):
			plain = plain && (len(value) == 0 || bytes.EqualFold(value, []byte("identity")))
		}
	}
	switch {
	case string(req.Method) != "POST":
		return Refusal{WrongMethod, 405, "Allow: " + Methods + "\r\n", "publish with POST"}
	case !r.Keys.Admit(req.RawQuery, req.Header("Authorization")):
		return Refusal{WrongKey, 403, "", "wrong or missing key: POST /broadcast?key=KEY, or Authorization: Bearer KEY"}
	case kinds == 0 || !json:
		return Refusal{WrongType, 415, "", "Content-Type must be application/json"}
	case !plain:
		return Refusal{WrongType, 415, "Accept-Encoding: identity\r\n", "Content-Encoding is not supported"}
	case req.Length() > int64(r.MaxMessageSize):
		return tooLarge
	case draining:
		return Draining()
	}
	return Refusal{}
}

// areJSON reports whether a Content-Type is JSON. A proxy may have joined several into a list
// (RFC 9110, section 8.3). A recipient may use any of them, so each has to be JSON.
func areJSON(kinds []byte) bool {
	if isJSON(kinds) {
		return true
	}
	for kind := range bytes.SplitSeq(kinds, []byte(",")) {
		if !isJSON(bytes.Trim(kind, " \t")) {
			return false
		}
	}
	return true
}

func isJSON(kind []byte) bool {
	const want = "application/json"
	if bytes.EqualFold(kind, []byte(want)) {
		return true
	}
	media, _, err := mime.ParseMediaType(string(kind))
	return err == nil && media == want
}

var errNotUTF8 = &command.Error{Code: command.BadRequest, Message: "not valid UTF-8"}

var errNotYet = &command.Error{Code: command.BadRequest, Message: "channel is missing or empty, or a member is not taken here yet"}

// Parse reads a publication from body. The publication borrows from body.
func (r *Rules) Parse(body []byte) (command.Publication, *command.Error) {
	if !utf8.Valid(body) { // a text message must be UTF-8; RFC 6455, section 8.1
		return command.Publication{}, errNotUTF8
	}
	p, bad := command.ParsePublication(body)
	if bad == nil && p.Whom != nil {
		return p, errNotYet
	}
	if bad == nil && len(p.Channel) > r.MaxChannelLength {
		bad = command.ErrChannelLength
	}
	return p, bad
}
