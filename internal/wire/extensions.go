package wire

import "strconv"

// extensionsHeader is the header of offers and of the answer; RFC 6455, section 9.1.
const extensionsHeader = "Sec-WebSocket-Extensions"

// The widest window of DEFLATE, and the narrowest that can be agreed on, as powers of
// two; RFC 7692, section 7.1.2.
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// Deflate is an agreement on permessage-deflate; RFC 7692. Neither side takes its context
// over to the next message, whatever the client has offered.
type Deflate struct {
	serverBits uint8 // server_max_window_bits; 0 when the client did not offer it
	clientBits uint8 // client_max_window_bits; 0 when the client did not offer a number
}

// Narrow reports whether the client can inflate only with a window that is smaller than
// DEFLATE's own.
func (d Deflate) Narrow() bool { return d.serverBits != 0 && d.serverBits < maxWindowBits }

// Deflate returns what the first acceptable offer of permessage-deflate agrees on. An offer
// with an unknown, repeated or invalid parameter is declined, as is everything behind a
// syntax error in the same header line; RFC 7692, section 7.1.
func (r *Request) Deflate() (d Deflate, ok bool) {
	if !r.seen.has(seenExtensions) {
		return Deflate{}, false
	}
	for name, value := range r.Headers {
		if !equalFold(name, extensionsHeader) {
			continue
		}
		if d, ok = acceptOffer(value); ok {
			return d, true
		}
	}
	return Deflate{}, false
}

// AppendTo adds the agreement to reply, a 101 response of [AppendUpgrade].
func (d Deflate) AppendTo(reply []byte) []byte {
	reply = append(reply[:len(reply)-len("\r\n")],
		extensionsHeader+": permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
	reply = appendBits(reply, "; server_max_window_bits=", d.serverBits)
	reply = appendBits(reply, "; client_max_window_bits=", d.clientBits)
	return append(reply, headMark...)
}

func appendBits(reply []byte, parameter string, bits uint8) []byte {
	if bits == 0 {
		return reply
	}
	return strconv.AppendUint(append(reply, parameter...), uint64(bits), 10)
}

// acceptOffer returns the first acceptable offer of a header line.
func acceptOffer(line []byte) (d Deflate, ok bool) {
	s := offers{line}
	for {
		for s.take(',') { // RFC 9110, section 5.6.1: elements may be empty
		}
		name := s.token()
		if len(name) == 0 {
			return Deflate{}, false
		}
		o, good := offer{ok: string(name) == "permessage-deflate"}, true
		for good && s.take(';') {
			good = s.parameter(&o)
		}
		if !good || !s.ends() {
			return Deflate{}, false
		}
		if o.ok {
			return o.Deflate, true
		}
	}
}

// offer is one element of the header while it is read.
type offer struct {
	Deflate
	seen uint8 // one bit for each parameter
	ok   bool  // it can be accepted so far
}

// note records a parameter. value is nil without one.
func (o *offer) note(name, value []byte) {
	bit, ok := uint8(0), value == nil
	switch string(name) {
	case "server_no_context_takeover":
		bit = 1
	case "client_no_context_takeover":
		bit = 2
	case "server_max_window_bits":
		bit = 4
		o.serverBits, ok = windowBits(value)
	case "client_max_window_bits":
		bit = 8
		if value != nil {
			o.clientBits, ok = windowBits(value)
		}
	}
	o.ok = o.ok && ok && bit != 0 && o.seen&bit == 0
	o.seen |= bit
}

// windowBits reads a number from 8 to 15 without leading zeros.
func windowBits(value []byte) (bits uint8, ok bool) {
	n, err := strconv.ParseUint(string(value), 10, 8)
	ok = err == nil && minWindowBits <= n && n <= maxWindowBits && value[0] != '0'
	return uint8(n), ok
}

// offers reads the value of a header line: extensions and their parameters.
type offers struct{ rest []byte }

// parameter reads a name and perhaps a value into o. It reports false at a syntax error.
func (s *offers) parameter(o *offer) bool {
	name, value := s.token(), []byte(nil)
	if len(name) == 0 {
		return false
	}
	if s.take('=') {
		if value = s.token(); value == nil {
			value = s.quoted()
		}
		if len(value) == 0 {
			return false
		}
	}
	o.note(name, value)
	return true
}

// token cuts off a token and the white space before it. It returns nil without one.
func (s *offers) token() []byte {
	s.rest = trim(s.rest)
	n := 0
	for n < len(s.rest) && classesOf[s.rest[n]]&isToken != 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// quoted cuts off a quoted string and returns its text; RFC 9110, section 5.6.4. The text
// has to be a token; RFC 6455, section 9.1. A text with other characters, or one that is
// not closed, returns nil.
func (s *offers) quoted() []byte {
	if !s.take('"') {
		return nil
	}
	var text []byte
	for i := 0; i < len(s.rest); i++ {
		b := s.rest[i]
		if b == '"' {
			s.rest = s.rest[i+1:]
			return text
		}
		if b == '\\' && i+1 < len(s.rest) {
			i++
			b = s.rest[i]
		}
		if classesOf[b]&isToken == 0 {
			return nil
		}
		text = append(text, b)
	}
	return nil
}

// take cuts off b and the white space before it, if b is next.
func (s *offers) take(b byte) bool {
	s.rest = trim(s.rest)
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// ends reports whether an element of the list is complete.
func (s *offers) ends() bool {
	s.rest = trim(s.rest)
	return len(s.rest) == 0 || s.rest[0] == ','
}
