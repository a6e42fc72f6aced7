package pubsub

import "encoding/binary"

// TextFrame returns a final text frame of a server; RFC 6455, section 5.2. It is
// for libraries that can send a prepared frame but not prepare one.
func TextFrame(payload []byte) []byte {
	p := append(make([]byte, 0, len(payload)+10), 0x81)
	switch n := len(payload); {
	case n < 126:
		p = append(p, byte(n))
	case n <= 0xffff:
		p = binary.BigEndian.AppendUint16(append(p, 126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, 127), uint64(n))
	}
	return append(p, payload...)
}
