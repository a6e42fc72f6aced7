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
		"Access-Control-Allow-Headers: Content-Type, Authorization, " + keyHeader + "\r\nAccess-Control-Max-Age: 86400\r\n" // in the answer to OPTIONS
)

// Rules are the rules for requests. They are immutable.
type Rules struct {
	Keys             Keys
	MaxMessageSize   int // bytes of a body with one publication, and of each content of a batch
	MaxHeadSize      int // bytes of the extensions and trailers of a chunked body
	MaxChannelLength int // bytes
}

// Reason is why a publication was refused before it reached the broker.
type Reason uint8

// The reasons. Reasons has their names, which metrics and logs use.
const (
	WrongKey      Reason = iota // wrong or missing key
	WrongMethod                 // neither POST nor OPTIONS
	WrongType                   // neither JSON nor lines of it, or with a Content-Encoding
	TooLarge                    // over MaxMessageSize, or a bound of batches
	Malformed                   // not a publication, or a malformed body
	Timeout                     // the body did not arrive in time
	ShuttingDown                // this node is shutting down
	ShortOfMemory               // -max-memory: the body was unfinished
	Repeated                    // answered as an earlier request with its Idempotency-Key
	KeyReused                   // its Idempotency-Key is in use, or has come with another body
	NumReasons
)

// Reasons are the names of the reasons.
var Reasons = [NumReasons]string{"key", "method", "media_type", "too_large", "malformed", "timeout", "shutdown", "memory", "repeated", "key_reused"}

// Refusal is the answer to a refused request. The zero value means not refused.
type Refusal struct {
	Reason  Reason
	Status  int
	Headers string // in addition to those of every answer
	Detail  string
}

var (
	tooLarge       = Refusal{TooLarge, 413, "", "the body is larger than -max-message-size"}
	tooLargeForAny = Refusal{TooLarge, 413, "", "the body is larger than -max-message-size, or the 1 MiB of a batch"}
)

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
	var h headers
	for name, value := range req.Headers {
		h.note(name, value)
	}
	switch {
	case string(req.Method) != "POST":
		return Refusal{WrongMethod, 405, "Allow: " + Methods + "\r\n", "publish with POST"}
	case !r.Keys.Admit(req.RawQuery, req.Header("Authorization")):
		return Refusal{WrongKey, 403, "", "wrong or missing key: POST /broadcast?key=KEY, or Authorization: Bearer KEY"}
	case h.json == h.lines || h.others: // neither, or both
		return Refusal{WrongType, 415, "", "Content-Type must be application/json or application/x-ndjson"}
	case h.encoded:
		return Refusal{WrongType, 415, "Accept-Encoding: identity\r\n", "Content-Encoding is not supported"}
	case h.badKey || h.keys > 1:
		return Refusal{Malformed, 400, "", keyHeader + " must be there once, with 1 to 255 printable characters"}
	case h.lines && req.Length() > MaxBatchBytes:
		return batchSize
	case req.Length() > int64(max(r.MaxMessageSize, MaxBatchBytes)):
		return tooLargeForAny
	case draining:
		return Draining()
	}
	return Refusal{}
}

// headers is what the headers of a request say about its body.
type headers struct {
	json, lines, others bool // kinds in Content-Type
	encoded             bool // it has a Content-Encoding
	keys                int  // fields of keyHeader
	badKey              bool
}

func (h *headers) note(name, value []byte) {
	switch {
	case bytes.EqualFold(name, []byte("Content-Type")):
		switch {
		case areJSON(value):
			h.json = true
		case isMedia(value, lines):
			h.lines = true
		default:
			h.others = true
		}
	case bytes.EqualFold(name, []byte("Content-Encoding")):
		h.encoded = h.encoded || len(value) > 0 && !bytes.EqualFold(value, []byte("identity"))
	case bytes.EqualFold(name, []byte(keyHeader)):
		_, ok := parseIdempotencyKey(value)
		h.keys++
		h.badKey = h.badKey || !ok
	}
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

func isJSON(kind []byte) bool { return isMedia(kind, "application/json") }

// lines is the media type of a body with one JSON object a line.
const lines = "application/x-ndjson"

func isMedia(kind []byte, want string) bool {
	if bytes.EqualFold(kind, []byte(want)) {
		return true
	}
	media, _, err := mime.ParseMediaType(string(kind))
	return err == nil && media == want
}

var errNotUTF8 = &command.Error{Code: command.BadRequest, Message: "not valid UTF-8"}

// Parse reads a publication from body. The publication borrows from body.
func (r *Rules) Parse(body []byte) (command.Publication, *command.Error) {
	if !utf8.Valid(body) { // a text message must be UTF-8; RFC 6455, section 8.1
		return command.Publication{}, errNotUTF8
	}
	p, bad := command.ParsePublication(body)
	if bad == nil && max(len(p.Channel), p.Whom.Longest()) > r.MaxChannelLength {
		bad = command.ErrChannelLength
	}
	return p, bad
}
