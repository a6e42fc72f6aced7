package wire

import (
	"encoding/base64"
	"io"
	"sync"

	"github.com/gobwas/ws"
)

// upgrader is shared and read-only. Without callbacks it ignores the subprotocols
// and extensions that a client offers. It copies lines longer than its buffer.
var upgrader = ws.Upgrader{ReadBufferSize: 8 << 10}

// keySize is the number of random bytes in a Sec-WebSocket-Key; RFC 6455,
// section 4.1.
const keySize = 16

// AppendUpgrade runs the Upgrader of gobwas/ws on head, in memory, and appends its
// 101 response to dst. r is the result of [ParseRequest] for head. It only reads
// both.
//
// Before that, it refuses what the Upgrader accepts: a Sec-WebSocket-Key that is
// repeated or not 16 bytes in base64, a Sec-WebSocket-Version that is missing,
// repeated or not 13, a request body. An offered subprotocol or extension is no
// error: the answer does not mention it, which declines it; RFC 6455, section 4.2.2.
// [AppendProtocol] and [Deflate.AppendTo] add those that the server accepts.
//
// Any error is a [*HandshakeError], and dst is then returned unchanged. An answer
// with status 426 needs ExtraHeaders.
func AppendUpgrade(dst []byte, r *Request, head []byte) ([]byte, error) {
	if err := r.judgeUpgrade(); err != nil {
		return dst, err
	}
	m := memories.Get().(*memory)
	m.in, m.out = skipLine(head), dst
	if r.seen.has(seenList) {
		m.plain = r.appendPlain(m.plain[:0])
		m.in = m.plain
	}
	_, err := upgrader.Upgrade(m)
	out := m.out
	m.in, m.out = nil, nil
	memories.Put(m)
	if err != nil {
		return dst, errUpgrader
	}
	return out, nil
}

// judgeUpgrade checks that a parsed request is a proper WebSocket handshake; RFC
// 6455, section 4.2.1.
func (r *Request) judgeUpgrade() *HandshakeError {
	switch {
	case string(r.Method) != "GET":
		return errUpgradeMethod
	case r.Minor == 0:
		return errUpgradeVersion
	case !r.IsUpgrade():
		return errNotUpgrade
	case r.length != 0:
		return errUpgradeBody
	case r.seen.has(seenTwoVersions):
		return errVersionTwice
	case string(r.version) != "13": // RFC 6455, section 4.4
		return errOldVersion
	case !r.seen.has(seenKey):
		return errKeyMissing
	case r.seen.has(seenKeyTwice): // RFC 6455, section 11.3.1
		return errKeyTwice
	case !validKey(r.key):
		return errKey
	}
	return nil
}

// validKey reports whether key is base64 of 16 bytes. It ignores the unused bits of
// the last character, because some clients choose the characters at random.
func validKey(key []byte) bool {
	var raw [keySize + 2]byte // base64 needs whole groups of three
	if len(key) != base64.StdEncoding.EncodedLen(keySize) {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], key)
	return err == nil && n == keySize
}

// appendPlain appends a head that asks for the same upgrade in the one form that
// the Upgrader reads. Connection and Upgrade may be lists over several lines (RFC
// 9110, section 5.3), which the Upgrader does not support.
func (r *Request) appendPlain(dst []byte) []byte {
	dst = append(dst, "GET / HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Host...)
	dst = append(dst, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	dst = append(dst, r.key...)
	return append(dst, headMark...)
}

// memory is the connection for the Upgrader: it reads a complete head from memory,
// and collects the response.
type memory struct {
	in    []byte // borrowed; what is not yet read
	out   []byte // the caller's bytes, then what was written
	plain []byte // owned; memory for appendPlain
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// Read returns the next bytes of the head.
func (m *memory) Read(p []byte) (int, error) {
	if len(m.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, m.in)
	m.in = m.in[n:]
	return n, nil
}

// Write collects the response.
func (m *memory) Write(p []byte) (int, error) {
	m.out = append(m.out, p...)
	return len(p), nil
}
