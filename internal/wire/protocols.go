package wire

import "bytes"

// protocolHeader is the header of offers and of the answer; RFC 6455, section 11.3.4.
const protocolHeader = "Sec-WebSocket-Protocol"

// Offers reports whether the client offers a subprotocol. Names are compared exactly; RFC
// 6455, section 4.2.2. Offers may stand in several header lines. A line with an element
// that is no token offers nothing, because it is unclear where elements end.
func (r *Request) Offers(protocol string) bool {
	if !r.seen.has(seenProtocol) {
		return false
	}
	for name, value := range r.Headers {
		if equalFold(name, protocolHeader) && lists(value, protocol) {
			return true
		}
	}
	return false
}

// lists reports whether a list of tokens has this one. Empty elements are allowed; RFC
// 9110, section 5.6.1.
func lists(value []byte, token string) (found bool) {
	for element := range bytes.SplitSeq(value, []byte(",")) {
		element = trim(element)
		if !all(element, isToken) {
			return false
		}
		found = found || string(element) == token
	}
	return found
}

// AppendProtocol adds the subprotocol that the server has chosen to reply, a 101 response
// of [AppendUpgrade].
func AppendProtocol(reply []byte, protocol string) []byte {
	reply = append(reply[:len(reply)-len("\r\n")], protocolHeader+": "...)
	return append(append(reply, protocol...), headMark...)
}
