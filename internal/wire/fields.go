package wire

import "bytes"

// cutLine splits p after its first line, which is returned without CR LF.
func cutLine(p []byte) (line, rest []byte, err *HandshakeError) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		return nil, nil, errHeadCut
	}
	if i == 0 || p[i-1] != '\r' {
		return nil, nil, errLineEnd
	}
	return p[:i-1], p[i+1:], nil
}

// skipLine skips one empty line before a request: some clients send one after a
// body; RFC 9112, section 2.2.
func skipLine(p []byte) []byte {
	if len(p) >= 2 && p[0] == '\r' && p[1] == '\n' {
		return p[2:]
	}
	return p
}

// parseStart reads the request line and returns the bytes after it. It checks the
// method first, as JudgeStart may have no more than that.
func (r *Request) parseStart(p []byte) (rest []byte, err *HandshakeError) {
	if !methodBegins(p) {
		return nil, errMethod
	}
	line, rest, err := cutLine(p)
	if err == nil {
		err = r.parseLine(line)
	}
	return rest, err
}

// parseLine reads the request line, whose method is already checked; RFC 9112, section 3.
func (r *Request) parseLine(line []byte) *HandshakeError {
	first := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	if first <= 0 || first+1 >= last {
		return errRequestLine
	}
	r.Method, r.Target = line[:first], line[first+1:last]
	switch proto := line[last+1:]; {
	case string(proto) == "HTTP/1.1":
		r.Minor = 1
	case string(proto) == "HTTP/1.0":
		r.Minor = 0
	case bytes.HasPrefix(proto, []byte("HTTP/")):
		return errVersion
	default:
		return errRequestLine
	}
	return r.parseTarget()
}

// parseFields reads the header lines up to the blank line, which must be the end
// of the head; RFC 9112, section 5.
func (r *Request) parseFields(p []byte) *HandshakeError {
	r.fields = p
	for {
		line, rest, err := cutLine(p)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			if len(rest) > 0 {
				return errHeadCut
			}
			return nil
		}
		if err := r.parseField(line); err != nil {
			return err
		}
		p = rest
	}
}

// parseField checks one header line and records what the package needs of it.
func (r *Request) parseField(line []byte) *HandshakeError {
	if line[0] == ' ' || line[0] == '\t' { // obs-fold; RFC 9112, section 5.2
		return errFold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], isToken) { // RFC 9112, section 5.1
		return errFieldName
	}
	if !all(line[colon+1:], isValue) {
		return errFieldValue
	}
	return r.note(line[:colon], trim(line[colon+1:]))
}

// note selects a header by the size of its name first, because most are not of interest.
func (r *Request) note(name, value []byte) *HandshakeError {
	switch len(name) {
	case len("Host"):
		if equalFold(name, "Host") {
			return r.noteHost(value)
		}
	case len("Origin"): // and Expect
		if equalFold(name, "Origin") {
			return r.noteOrigin(value)
		} else if equalFold(name, "Expect") && hasToken(value, "100-continue") {
			r.seen |= seenContinue
		}
	case len("Upgrade"): // and Trailer
		if equalFold(name, "Upgrade") {
			r.noteUpgrade(value)
		} else if equalFold(name, "Trailer") {
			return judgeTrailer(value)
		}
	case len("Connection"):
		if equalFold(name, "Connection") {
			r.noteConnection(value)
		}
	case len("Content-Length"):
		if equalFold(name, "Content-Length") {
			return r.noteLength(value)
		}
	case len("Transfer-Encoding"): // and Sec-WebSocket-Key
		if equalFold(name, "Transfer-Encoding") {
			return r.noteTransfer(value)
		} else if equalFold(name, "Sec-WebSocket-Key") {
			r.noteKey(value)
		}
	case len("Sec-WebSocket-Version"):
		if equalFold(name, "Sec-WebSocket-Version") {
			r.noteVersion(value)
		}
	case len(extensionsHeader):
		if equalFold(name, extensionsHeader) {
			r.seen |= seenExtensions
		}
	case len(protocolHeader):
		if equalFold(name, protocolHeader) {
			r.seen |= seenProtocol
		}
	}
	return nil
}

// noteHost checks the Host header; an absolute-form target takes precedence over
// it. RFC 9112, sections 3.2 and 3.2.2.
func (r *Request) noteHost(value []byte) *HandshakeError {
	if r.seen.add(seenHost) {
		return errHostTwice
	}
	if !validAuthority(value) {
		return errHost
	}
	if !r.seen.has(seenAbsolute) {
		r.Host = value
	}
	return nil
}

// noteOrigin refuses a second Origin: two readers of the head could pick different ones.
func (r *Request) noteOrigin(value []byte) *HandshakeError {
	if r.seen.add(seenOrigin) {
		return errOriginTwice
	}
	r.Origin = value
	return nil
}

// noteUpgrade also records values that the Upgrader of gobwas/ws does not take: all
// but the single token.
func (r *Request) noteUpgrade(value []byte) {
	plain := equalFold(value, "websocket")
	if !plain {
		r.seen |= seenList
	}
	if plain || hasToken(value, "websocket") {
		r.seen |= seenUpgrade
	}
}

// noteConnection also records values that the Upgrader of gobwas/ws may not take:
// all but the two that browsers send.
func (r *Request) noteConnection(value []byte) {
	if !equalFold(value, "Upgrade") && !equalFold(value, "keep-alive, Upgrade") {
		r.seen |= seenList
	}
	if hasToken(value, "upgrade") {
		r.seen |= seenConnection
	}
	if hasToken(value, "close") {
		r.seen |= seenClose
	}
	if hasToken(value, "keep-alive") {
		r.seen |= seenKeepAlive
	}
}

// noteLength accepts only a plain number in a single header; RFC 9112, section 6.3.
// Eighteen digits always fit in 63 bits.
func (r *Request) noteLength(value []byte) *HandshakeError {
	if r.seen.add(seenLength) || len(value) == 0 || len(value) > 18 || !all(value, isNumber) {
		return errContentLength
	}
	for _, digit := range value {
		r.length = 10*r.length + int64(digit-'0')
	}
	return nil
}

// noteTransfer accepts only "chunked"; RFC 9112, section 6.1.
func (r *Request) noteTransfer(value []byte) *HandshakeError {
	if r.seen.add(seenTransfer) {
		return errTransferEncoding
	}
	if !equalFold(value, "chunked") {
		return errUnknownTransfer
	}
	r.length = -1
	return nil
}

func (r *Request) noteKey(value []byte) {
	if r.seen.add(seenKey) {
		r.seen |= seenKeyTwice
		return
	}
	r.key = value
}

func (r *Request) noteVersion(value []byte) {
	if r.seen.add(seenVersion) {
		r.seen |= seenTwoVersions
		return
	}
	r.version = value
}

// judgeTrailer refuses trailers that would change the framing; RFC 9110, section
// 6.5.1.
func judgeTrailer(value []byte) *HandshakeError {
	if hasToken(value, "Content-Length") || hasToken(value, "Transfer-Encoding") || hasToken(value, "Trailer") {
		return errForbiddenTrailers
	}
	return nil
}

// judge makes the checks that need the whole head.
func (r *Request) judge() *HandshakeError {
	if r.Minor == 1 && !r.seen.has(seenHost) { // RFC 9112, section 3.2
		return errHostMissing
	}
	if r.seen.has(seenTransfer) && (r.seen.has(seenLength) || r.Minor == 0) { // RFC 9112, section 6.1
		return errTransferEncoding
	}
	return nil
}
