package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds on what a Redis server may send beside publications.
const (
	maxReplyDepth = 8
	maxReplyList  = 1 << 17 // elements of one list
	maxReplyText  = 1 << 20
	respBuffer    = 64 << 10
	maxScratch    = 1 << 20 // what is kept for the next message
)

var errProtocol = errors.New("the server does not speak Redis' protocol")

// respError is an error that a server answered.
type respError string

// Error returns the server's words.
func (e respError) Error() string { return string(e) }

// reply is what a server answered: text, a number or a list.
type reply struct {
	text string
	num  int64
	list []reply
}

// respReader reads RESP2, Redis' protocol. It belongs to one goroutine.
type respReader struct {
	br      *bufio.Reader
	scratch []byte // the last message
	limit   int    // bytes of a text that are kept by message
}

func newRESPReader(r io.Reader, limit int) *respReader {
	return &respReader{br: bufio.NewReaderSize(r, respBuffer), limit: limit}
}

// line reads up to the end of a line, which must fit in the buffer. The line is
// borrowed until the next read, and has its type in front.
func (r *respReader) line() ([]byte, error) {
	b, err := r.br.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, errProtocol
	case err != nil:
		return nil, err
	case len(b) < 3 || b[len(b)-2] != '\r':
		return nil, errProtocol
	}
	return b[:len(b)-2], nil
}

// reply reads one answer. An error of the server is a respError.
func (r *respReader) reply() (reply, error) { return r.nested(0) }

func (r *respReader) nested(depth int) (reply, error) {
	b, err := r.line()
	if err != nil {
		return reply{}, err
	}
	switch b[0] {
	case '+':
		return reply{text: string(b[1:])}, nil
	case '-':
		return reply{}, respError(b[1:])
	case ':':
		n, err := number(b[1:])
		return reply{num: n}, err
	case '$':
		return r.text(b)
	case '*':
		return r.list(b, depth)
	}
	return reply{}, errProtocol
}

// text reads what a header announces; minus one is nothing.
func (r *respReader) text(header []byte) (reply, error) {
	n, err := number(header[1:])
	if err != nil || n < -1 || n > maxReplyText {
		return reply{}, errProtocol
	}
	if n < 0 {
		return reply{}, nil
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r.br, b); err != nil {
		return reply{}, err
	}
	return reply{text: string(b[:n])}, nil
}

// list reads the elements that a header announces; minus one is nothing.
func (r *respReader) list(header []byte, depth int) (reply, error) {
	n, err := number(header[1:])
	if err != nil || n < -1 || n > maxReplyList || depth == maxReplyDepth {
		return reply{}, errProtocol
	}
	var list []reply
	for range max(n, 0) {
		e, err := r.nested(depth + 1)
		if _, refused := errors.AsType[respError](err); err != nil && !refused {
			return reply{}, err
		}
		list = append(list, e)
	}
	return reply{list: list}, nil
}

// message is one thing that a server sends to a subscriber. The slices are borrowed
// until the next one is read.
type message struct {
	verb    []byte // message, smessage, subscribe, unsubscribe, pong, … ; empty with refusal
	channel []byte
	content []byte // of message and smessage
	refusal error  // an error that the server answered
}

// message reads the next one. Of a content that is longer than the limit only so
// much is kept that its receiver sees it is too long.
func (r *respReader) message() (message, error) {
	b, err := r.line()
	if err != nil {
		return message{}, err
	}
	switch b[0] {
	case '-':
		return message{refusal: respError(b[1:])}, nil
	case '+': // the answer to a ping before the first subscription
		return message{verb: b[1:]}, nil
	case '*':
		return r.elements(b)
	}
	return message{}, errProtocol
}

// elements reads the texts and numbers of a list of two or three.
func (r *respReader) elements(header []byte) (message, error) {
	n, err := number(header[1:])
	if err != nil || n < 2 || n > 3 {
		return message{}, errProtocol
	}
	if cap(r.scratch) > maxScratch {
		r.scratch = nil
	}
	r.scratch = r.scratch[:0]
	var ends [3]int
	for i := range n {
		if err := r.element(); err != nil {
			return message{}, err
		}
		ends[i] = len(r.scratch)
	}
	m := message{verb: r.scratch[:ends[0]], channel: r.scratch[ends[0]:ends[1]]}
	if n == 3 {
		m.content = r.scratch[ends[1]:ends[2]]
	}
	return m, nil
}

// element appends a text to the scratch; a number is skipped.
func (r *respReader) element() error {
	b, err := r.line()
	if err != nil {
		return err
	}
	if b[0] == ':' {
		return nil
	}
	n, err := number(b[1:])
	if b[0] != '$' || err != nil || n < -1 {
		return errProtocol
	}
	if n < 0 { // an unsubscription from nothing
		return nil
	}
	keep := int(min(n, int64(r.limit)))
	at := len(r.scratch)
	r.scratch = grow(r.scratch, keep)
	if _, err := io.ReadFull(r.br, r.scratch[at:]); err != nil {
		return err
	}
	if _, err = r.br.Discard(int(n) - keep + 2); err != nil {
		return err
	}
	return nil
}

// grow returns b with n more bytes, which are not cleared.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, 2*(len(b)+n)), b...)
	}
	return b[:len(b)+n]
}

// number reads a signed decimal number.
func number(b []byte) (int64, error) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, errProtocol
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, errProtocol
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
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
