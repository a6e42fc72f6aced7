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

// Path is where backends publish, Methods what they may use there.
const (
	Path    = "/broadcast"
	Methods = "POST, OPTIONS"
)

// Headers of answers, each ended by CRLF.
const (
	AllowCORS = "Access-Control-Allow-Origin: *\r\n" // of every answer
	Preflight = "Access-Control-Allow-Methods: " + Methods + "\r\n" +
		"Access-Control-Allow-Headers: Content-Type, Authorization\r\nAccess-Control-Max-Age: 86400\r\n" // to OPTIONS
)

// Rules are what a request has to keep to. They do not change.
type Rules struct {
	Keys             Keys
	MaxMessageSize   int // bytes of a body
	MaxHeadSize      int // bytes of what a body in chunks has beside its data
	MaxChannelLength int // bytes
}

// Reason is why a publication was refused before the broker saw it.
type Reason uint8

// The reasons; Reasons has their names, as the label of metrics and logs has them.
const (
	WrongKey     Reason = iota // or missing
	WrongMethod                // neither POST nor OPTIONS
	WrongType                  // no JSON, or encoded
	TooLarge                   // over MaxMessageSize
	Malformed                  // no publication, or a broken body
	Timeout                    // the body was not there in time
	ShuttingDown               // this node is
	NumReasons
)

// Reasons are the names of the reasons.
var Reasons = [NumReasons]string{"key", "method", "media_type", "too_large", "malformed", "timeout", "shutdown"}

// Refusal is the answer to a request that is not carried out; the zero value is none.
type Refusal struct {
	Reason  Reason
	Status  int
	Headers string // beside those of every answer
	Detail  string
}

var tooLarge = Refusal{TooLarge, 413, "", "the body is larger than -max-message-size"}

// Draining is the refusal while this node shuts down.
func Draining() Refusal {
	return Refusal{ShuttingDown, 503, RetryAfter(), "this node is shutting down"}
}

// RetryAfter is the header of a refusal for now. The pause, in seconds, differs from
// one to the next, so that clients refused together do not all return together.
func RetryAfter() string {
	const most = 9
	return "Retry-After: " + strconv.Itoa(1+rand.IntN(most)) + "\r\n"
}

// Judge refuses what needs no body to be refused. draining says that this node shuts down.
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

// areJSON reports whether a Content-Type is JSON: one, or several that were joined on the
// way (RFC 9110, section 8.3). Readers may take any of those, so each has to be JSON.
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

// Parse reads a body, which is borrowed: the publication refers to it.
func (r *Rules) Parse(body []byte) (command.Publication, *command.Error) {
	if !utf8.Valid(body) { // no text message may hold it; RFC 6455, section 8.1
		return command.Publication{}, errNotUTF8
	}
	p, bad := command.ParsePublication(body)
	if bad == nil && len(p.Channel) > r.MaxChannelLength {
		bad = command.ErrChannelLength
	}
	return p, bad
}
