package publish

import (
	"bytes"

	"wsify/internal/command"
)

// Bounds of a batch. They do not depend on Rules.MaxMessageSize, which holds for each content.
const (
	MaxBatch      = 1000    // publications
	MaxBatchBytes = 1 << 20 // of a body
)

// Item is one publication of a batch, or what is wrong with it.
type Item struct {
	command.Publication
	Bad *command.Error
}

var (
	errContent = &command.Error{Code: command.Limit, Message: "the content is larger than -max-message-size"}
	tooMany    = Refusal{TooLarge, 413, "", "a batch has at most 1000 publications"}
	batchSize  = Refusal{TooLarge, 413, "", "a batch has at most 1 MiB"}
)

const bom = "\uFEFF" // a byte order mark

// IsArray reports whether body is a JSON array, so far as its first byte says.
func IsArray(body []byte) bool { return first(body) == '[' }

// first returns the first byte of body that is not white space or a byte order mark, or 0 when it
// is not there yet.
func first(body []byte) byte {
	if len(body) < len(bom) && bytes.HasPrefix([]byte(bom), body) {
		return 0
	}
	body = bytes.TrimLeft(command.TrimBOM(body), " \t\r\n")
	if len(body) == 0 {
		return 0
	}
	return body[0]
}

// Batch reads the publications in body: a JSON array, or with lines one publication a line. They
// borrow from body. A batch of which the publications cannot be told apart is refused as a whole.
func (r *Rules) Batch(body []byte, lines bool) ([]Item, Refusal) {
	var texts [][]byte
	var bad *command.Error
	if lines {
		texts = splitLines(body, MaxBatch)
	} else {
		texts, bad = command.Elements(body, MaxBatch)
	}
	switch {
	case bad != nil:
		return nil, Refusal{Malformed, 400, "", bad.Message}
	case len(texts) > MaxBatch:
		return nil, tooMany
	}
	items := make([]Item, len(texts))
	for i, text := range texts {
		items[i] = r.item(text)
	}
	return items, Refusal{}
}

// Single reads the one publication in body, from which it borrows.
func (r *Rules) Single(body []byte) ([]Item, Refusal) {
	p, bad := r.Parse(body)
	if bad != nil {
		return nil, Refusal{Malformed, 400, "", bad.Message}
	}
	return []Item{{Publication: p}}, Refusal{}
}

func (r *Rules) item(text []byte) (it Item) {
	it.Publication, it.Bad = r.Parse(text)
	if it.Bad == nil && len(it.Content) > r.MaxMessageSize {
		it.Bad = errContent
	}
	return it
}

// splitLines returns the lines of body that are not blank, at most one more than most. A line ends
// with LF or CRLF; the last one may end without.
func splitLines(body []byte, most int) (lines [][]byte) {
	for line := range bytes.SplitSeq(command.TrimBOM(body), []byte("\n")) {
		if line = bytes.Trim(line, " \t\r"); len(line) > 0 {
			if lines = append(lines, line); len(lines) > most {
				break
			}
		}
	}
	return lines
}
