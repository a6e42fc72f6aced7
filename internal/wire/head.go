package wire

import "bytes"

const headMark = "\r\n\r\n"

// HeadEnd returns the number of bytes up to and including the blank line that ends
// the head at the start of p, or 0 when p does not contain it yet. Only CR LF ends
// a line.
//
// from is how many bytes of p an earlier call has searched, so that a head that
// arrives byte by byte is not searched again and again.
func HeadEnd(p []byte, from int) int {
	from = min(max(from-len(headMark)+1, 0), len(p))
	i := bytes.Index(p[from:], []byte(headMark))
	if i < 0 {
		return 0
	}
	return from + i + len(headMark)
}

// Request is a parsed request head. Its slices, and those its methods return, are
// borrowed from the head: they are read-only, and valid until the head is
// overwritten.
type Request struct {
	Method   []byte // as sent; methods are case-sensitive
	Target   []byte // as sent, never empty
	Path     []byte // of Target, with its escapes; "/" when an absolute form has none
	RawQuery []byte // after the '?', with its escapes; nil without one
	Host     []byte // of an absolute-form Target, else the Host header
	Origin   []byte // the Origin header; nil without one
	Minor    int    // HTTP/1.Minor: 0 or 1

	seen    seen
	length  int64  // of the body; -1 when chunked
	key     []byte // the first Sec-WebSocket-Key
	version []byte // the first Sec-WebSocket-Version
	fields  []byte // all header lines and the blank line
}

// seen is a set of facts found in the head.
type seen uint32

const (
	seenAbsolute    seen = 1 << iota // the target has the absolute form
	seenHost                         // a Host header
	seenOrigin                       // an Origin header
	seenLength                       // a Content-Length header
	seenTransfer                     // a Transfer-Encoding header
	seenUpgrade                      // token "websocket" in Upgrade
	seenConnection                   // token "upgrade" in Connection
	seenClose                        // token "close" in Connection
	seenKeepAlive                    // token "keep-alive" in Connection
	seenContinue                     // token "100-continue" in Expect
	seenList                         // Upgrade or Connection may have to be read as a list
	seenKey                          // a Sec-WebSocket-Key header
	seenKeyTwice                     // more than one
	seenVersion                      // a Sec-WebSocket-Version header
	seenTwoVersions                  // more than one
	seenExtensions                   // a Sec-WebSocket-Extensions header
	seenProtocol                     // a Sec-WebSocket-Protocol header
)

// add puts fact into the set and reports whether the set had it.
func (s *seen) add(fact seen) (again bool) {
	again = *s&fact != 0
	*s |= fact
	return again
}

// has reports whether all of facts are in the set.
func (s seen) has(facts seen) bool { return s&facts == facts }

// ParseRequest reads a complete head, as [HeadEnd] delimits it. The Request borrows
// from head. One empty line before the request line is skipped; RFC 9112, section
// 2.2.
//
// The caller bounds the size of a head, and answers a larger one with 431.
//
// It is strict where servers and proxies that disagree can be exploited. It refuses
// a bare LF, a control character, white space before a colon, a folded line, a
// missing or repeated Host, a bad method or target, and an unclear message length.
// Any error is a [*HandshakeError]: status 505 for an HTTP version other than 1.0
// and 1.1, 501 for a transfer coding other than chunked, and 400 for the rest.
func ParseRequest(head []byte) (Request, error) {
	var r Request
	rest, err := r.parseStart(skipLine(head))
	if err == nil {
		err = r.parseFields(rest)
	}
	if err == nil {
		err = r.judge()
	}
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// JudgeStart reports an error in the first line of an incomplete head, so that the
// server need not wait for the rest. p is what has arrived. ParseRequest would
// refuse the head whatever followed. Any error is a [*HandshakeError].
//
// from is how many bytes of p an earlier call has checked, so that a line that
// arrives byte by byte is not checked again and again.
func JudgeStart(p []byte, from int) error {
	if from < len("\r\n") {
		from = 0
	}
	if line := skipLine(p); len(line) < len(p) {
		p, from = line, max(from-len("\r\n"), 0)
	}
	from = min(from, len(p))
	end := bytes.IndexByte(p, '\n')
	switch {
	case 0 <= end && end < from: // checked before
		return nil
	case end < 0 && bytes.IndexByte(p[:from], ' ') >= 0: // so was the method
		return nil
	case end < 0:
		if !methodBegins(p[max(from-1, 0):]) { // what was last may have been half a line's end
			return errMethod
		}
		return nil
	}
	if _, err := new(Request).parseStart(p); err != nil {
		return err
	}
	return nil
}

// methodBegins reports whether p, the rest of a line that may be incomplete, may
// begin with part of a method.
func methodBegins(p []byte) bool {
	line, _, _ := bytes.Cut(p, []byte("\n"))
	method, _, whole := bytes.Cut(line, []byte(" "))
	if !whole {
		method = bytes.TrimSuffix(method, []byte("\r"))
	}
	return all(method, isToken)
}

// IsUpgrade reports whether the request asks for the WebSocket protocol: GET,
// with the token "upgrade" in Connection and "websocket" in Upgrade, in any case
// of letters; RFC 6455, section 4.2.1.
func (r *Request) IsUpgrade() bool {
	return r.seen.has(seenUpgrade|seenConnection) && string(r.Method) == "GET"
}

// Length returns how many bytes of body follow the head, or -1 when the body is
// chunked. RFC 9112, section 6.3.
func (r *Request) Length() int64 { return r.length }

// Persistent reports whether the client keeps the connection for further requests;
// RFC 9112, section 9.3. In HTTP/1.0 the answer has to say so too.
func (r *Request) Persistent() bool {
	return !r.seen.has(seenClose) && (r.Minor == 1 || r.seen.has(seenKeepAlive))
}

// Continue reports whether the client waits for a 100 before it sends the body; RFC
// 9110, section 10.1.1.
func (r *Request) Continue() bool { return r.Minor == 1 && r.seen.has(seenContinue) }

// Headers calls yield with each header in the order sent: the name as sent, the
// value without surrounding white space. Use it in a range statement.
func (r *Request) Headers(yield func(name, value []byte) bool) {
	rest := r.fields
	for len(rest) > len("\r\n") {
		end := bytes.IndexByte(rest, '\n')
		line := rest[:end-1]
		colon := bytes.IndexByte(line, ':')
		if !yield(line[:colon], trim(line[colon+1:])) {
			return
		}
		rest = rest[end+1:]
	}
}

// Header returns the first value of the named header, and ignores case. It is nil
// when there is none, and empty but not nil when the value is empty.
func (r *Request) Header(name string) []byte {
	for sent, value := range r.Headers {
		if equalFold(sent, name) {
			return value
		}
	}
	return nil
}
