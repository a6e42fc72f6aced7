package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// A publication goes through brokers as content. What is said beyond the content is a head before it:
//
//	0x00 POSITION SP JSON LF content
//
// POSITION is empty, or epoch-offset-prev. JSON is empty, or an object with the members "user" and
// "except"; a reader ignores other members. JSON texts do not begin with 0x00, so content without a
// head stays as it is, and version 3 and other clients of an engine need not know of heads.

// HeadMark is the first byte of a head.
const HeadMark = 0x00

// MaxHead is the most bytes of a head: a user of 255 bytes, each escaped, and 100 ids of connections
// fit. A longer head cannot be read.
const MaxHead = 16 << 10

// MaxEpoch is the most bytes of an epoch. A Position has at most 41 bytes then.
const MaxEpoch = 20

// ErrHead means that a publication has a head that cannot be read. It is not delivered.
var ErrHead = errors.New("the head of the publication cannot be read")

// Head is what is said of a publication beyond its content. The zero value says nothing.
type Head struct {
	Position Position // in the history of the channel; zero when it has none
	Prev     uint64   // the offset of the publication before it in the channel
	User     string   // who published it; empty when nobody said
	Except   []string // ids of connections that do not get it
}

// IsZero reports whether h says nothing.
func (h *Head) IsZero() bool {
	return h.Position == Position{} && h.Prev == 0 && h.User == "" && len(h.Except) == 0
}

// Position is a place in the history of a channel. Users see it as opaque text.
type Position struct {
	Epoch  string // of the history: 1 to MaxEpoch digits and lower-case letters; empty for no position
	Offset uint64 // of a publication; 0 is before the first
}

// String returns the position as text, and the empty text for no position.
func (p Position) String() string {
	if p.Epoch == "" {
		return ""
	}
	return string(p.append(nil))
}

func (p Position) append(dst []byte) []byte {
	return strconv.AppendUint(append(append(dst, p.Epoch...), '-'), p.Offset, 10)
}

// ParsePosition reads what String has written. ok is false for anything else, the empty text included.
func ParsePosition(text []byte) (p Position, ok bool) {
	epoch, offset, _ := bytes.Cut(text, []byte("-"))
	n, ok := parseOffset(offset)
	if !ok || !isEpoch(epoch) {
		return Position{}, false
	}
	return Position{string(epoch), n}, true
}

func isEpoch(text []byte) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(text) > 0 && len(text) <= MaxEpoch
}

// parseOffset reads decimal digits without leading zeros, so that each offset has one text.
func parseOffset(text []byte) (n uint64, ok bool) {
	if len(text) == 0 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	for _, c := range text {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = 10*n + d
	}
	return n, true
}

// headJSON is the part of a head that is JSON.
type headJSON struct {
	User   string   `json:"user,omitempty"`
	Except []string `json:"except,omitempty"`
}

// A head with a user alone is read and written without a JSON library when the user needs no escape:
// each publication of a client with a user has one.
const userBegins, userEnds = `{"user":"`, `"}`

func isPlain[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// AppendHead appends h as it stands before the content, and nothing when h is zero.
func AppendHead(dst []byte, h *Head) []byte {
	if h.IsZero() {
		return dst
	}
	dst = append(dst, HeadMark)
	if h.Position.Epoch != "" {
		dst = strconv.AppendUint(append(h.Position.append(dst), '-'), h.Prev, 10)
	}
	dst = append(dst, ' ')
	switch {
	case len(h.Except) == 0 && h.User == "":
	case len(h.Except) == 0 && isPlain(h.User):
		dst = append(append(append(dst, userBegins...), h.User...), userEnds...)
	default:
		said, _ := json.Marshal(headJSON{h.User, h.Except}) // strings cannot fail
		dst = append(dst, said...)
	}
	return append(dst, '\n')
}

// headSize returns the number of bytes of the head that content begins with, 0 without one, and -1
// when it does not end.
func headSize(content []byte) int {
	if len(content) == 0 || content[0] != HeadMark {
		return 0
	}
	end := bytes.IndexByte(content[:min(len(content), MaxHead)], '\n')
	if end < 0 {
		return -1
	}
	return end + 1
}

// SplitHead cuts the head from content. rest is borrowed from content, h is not. ok is false when
// there is a head that cannot be read.
func SplitHead(content []byte) (h Head, rest []byte, ok bool) {
	size := headSize(content)
	switch size {
	case 0:
		return Head{}, content, true
	case -1:
		return Head{}, nil, false
	}
	position, said, found := bytes.Cut(content[1:size-1], []byte(" "))
	if !found || !h.setPosition(position) || !h.setJSON(said) {
		return Head{}, nil, false
	}
	return h, content[size:], true
}

func (h *Head) setPosition(text []byte) (ok bool) {
	if len(text) == 0 {
		return true
	}
	last := bytes.LastIndexByte(text, '-')
	if last < 0 {
		return false
	}
	if h.Position, ok = ParsePosition(text[:last]); ok {
		h.Prev, ok = parseOffset(text[last+1:])
	}
	return ok
}

func (h *Head) setJSON(text []byte) (ok bool) {
	if len(text) == 0 {
		return true
	}
	if user, ok := bytes.CutPrefix(text, []byte(userBegins)); ok {
		if user, ok = bytes.CutSuffix(user, []byte(userEnds)); ok && isPlain(user) {
			h.User = string(user)
			return true
		}
	}
	var said headJSON
	if text[0] != '{' || json.Unmarshal(text, &said) != nil {
		return false
	}
	h.User, h.Except = said.User, said.Except
	return true
}
