package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"wsify/broker/internal/dsn"
	"wsify/broker/internal/link"
)

// Bounds on what a Redis server may send besides publications.
const (
	maxReplyDepth = 8
	maxReplyList  = 1 << 17 // elements of one list
	maxReplyText  = 1 << 20
	maxAnyText    = 1 << 31 // Redis takes 512 MiB, unless it is told otherwise
	respBuffer    = 64 << 10
	maxScratch    = 1 << 20 // memory kept for the next message
)

var errRESP = errors.New("the server does not speak Redis' protocol")

// respError is an error reply of a server.
type respError string

// Error returns the text of the reply.
func (e respError) Error() string { return string(e) }

// code returns the first word of the error, its kind: WRONGPASS, NOPERM, ERR.
func (e respError) code() respError {
	word, _, _ := strings.Cut(string(e), " ")
	if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "an error"
	}
	return respError(word)
}

// respReply is a reply of a server: a text, a number or a list.
type respReply struct {
	text string
	num  int64
	list []respReply
}

// pairs returns the texts of a list of alternating names and values.
func (r respReply) pairs() map[string]string {
	pairs := map[string]string{}
	for i := 0; i+1 < len(r.list); i += 2 {
		pairs[r.list[i].text] = r.list[i+1].text
	}
	return pairs
}

// respReader reads RESP3, Redis' protocol since version 6, which distinguishes pushes from replies.
// It belongs to one goroutine.
type respReader struct {
	br      *bufio.Reader
	scratch []byte      // the last push
	limit   int         // the most bytes of a content that are kept
	secrets dsn.Secrets // masked in errors
}

func newRESPReader(r io.Reader, limit int) *respReader {
	return &respReader{br: bufio.NewReaderSize(r, respBuffer), limit: limit}
}

// line reads up to the end of a line, which must fit in the buffer. The line begins with its type,
// and is borrowed until the next read.
func (r *respReader) line() ([]byte, error) {
	b, err := r.br.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, errRESP
	case err != nil:
		return nil, err
	case len(b) < 3 || b[len(b)-2] != '\r':
		return nil, errRESP
	}
	return b[:len(b)-2], nil
}

// respMessage is a push. The slices are borrowed until the next read.
type respMessage struct {
	verb    []byte // message, smessage, subscribe, unsubscribe, …
	channel []byte
	content []byte // of message and smessage
}

// next reads the next push, or a reply when push has no verb. An error reply is a respError. Of a
// content that exceeds the limit, it keeps just enough to show that it is too long.
func (r *respReader) next() (push respMessage, answer respReply, err error) {
	b, err := r.line()
	if err != nil {
		return push, answer, err
	}
	if b[0] == '>' {
		push, err = r.push(b)
	} else {
		answer, err = r.value(b, 0)
	}
	return push, answer, err
}

// value reads a value whose first line is b.
func (r *respReader) value(b []byte, depth int) (respReply, error) {
	switch b[0] {
	case '+':
		return respReply{text: string(b[1:])}, nil
	case '-':
		return respReply{}, respError(r.secrets.Mask(string(b[1:])))
	case ':':
		n, err := respNumber(b[1:])
		return respReply{num: n}, err
	case '_': // null
		return respReply{}, nil
	case '$', '=':
		return r.text(b)
	case '*', '%':
		return r.list(b, depth)
	}
	return respReply{}, errRESP
}

// text reads the text that a header announces; minus one means null. Of one that exceeds all bounds,
// it keeps just enough to show that it is too long.
func (r *respReader) text(header []byte) (respReply, error) {
	n, err := respNumber(header[1:])
	if err != nil || n < -1 || n > maxAnyText {
		return respReply{}, errRESP
	}
	if n < 0 {
		return respReply{}, nil
	}
	b := make([]byte, min(int(n), max(maxReplyText, r.limit)))
	if _, err := io.ReadFull(r.br, b); err != nil {
		return respReply{}, err
	}
	_, err = r.br.Discard(int(n) - len(b) + 2)
	return respReply{text: link.String(b)}, err
}

// list reads the elements that a header announces; a map has names and values in turn. Minus one
// means null.
func (r *respReader) list(header []byte, depth int) (respReply, error) {
	n, err := respNumber(header[1:])
	if err != nil || n < -1 || n > maxReplyList || depth == maxReplyDepth {
		return respReply{}, errRESP
	}
	if header[0] == '%' {
		n *= 2
	}
	var list []respReply
	for range max(n, 0) {
		b, err := r.line()
		if err != nil {
			return respReply{}, err
		}
		e, err := r.value(b, depth+1)
		if _, refused := errors.AsType[respError](err); err != nil && !refused {
			return respReply{}, err
		}
		list = append(list, e)
	}
	return respReply{list: list}, nil
}

// push reads a push of three texts or numbers.
func (r *respReader) push(header []byte) (m respMessage, err error) {
	if string(header) != ">3" {
		return m, errRESP
	}
	if cap(r.scratch) > maxScratch {
		r.scratch = nil
	}
	r.scratch = r.scratch[:0]
	var ends [3]int
	for i, limit := range [3]int{maxReplyText, maxReplyText, r.limit} {
		if err := r.element(limit); err != nil {
			return m, err
		}
		ends[i] = len(r.scratch)
	}
	if ends[0] == 0 {
		return m, errRESP
	}
	m.verb, m.channel, m.content = r.scratch[:ends[0]], r.scratch[ends[0]:ends[1]], r.scratch[ends[1]:ends[2]]
	return m, nil
}

// element appends a text to the scratch, up to the limit, and skips numbers.
func (r *respReader) element(limit int) error {
	b, err := r.line()
	if err != nil {
		return err
	}
	n, err := respNumber(b[1:])
	switch {
	case err == nil && b[0] == ':':
		return nil
	case err != nil || b[0] != '$' || n < 0:
		return errRESP
	}
	keep := int(min(n, int64(limit)))
	at := len(r.scratch)
	r.scratch = slices.Grow(r.scratch, keep)[:at+keep]
	if _, err := io.ReadFull(r.br, r.scratch[at:]); err != nil {
		return err
	}
	_, err = r.br.Discard(int(n) - keep + 2)
	return err
}

// respNumber reads a signed decimal number.
func respNumber(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, errRESP
	}
	return n, nil
}

// appendCommand appends a command with its arguments.
func appendCommand(b []byte, verb string, args ...string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", 1+len(args))
	b = appendText(b, verb)
	for _, a := range args {
		b = appendText(b, a)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, "\r\n"...)
	b = append(b, s...)
	return append(b, "\r\n"...)
}
