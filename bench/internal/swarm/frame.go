package swarm

import (
	"bytes"
	"encoding/binary"

	"github.com/gobwas/ws"
)

// Opcodes; RFC 6455, section 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// maskKey masks what clients send. A constant will do: the mask protects proxies from pages in a browser (RFC
// 6455, section 10.3), and here is neither.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// AppendFrame appends a final masked frame.
func AppendFrame(p []byte, opcode byte, payload []byte) []byte {
	out := bytes.NewBuffer(p)
	_ = ws.WriteHeader(out, ws.Header{Fin: true, OpCode: ws.OpCode(opcode), Masked: true, Mask: maskKey, Length: int64(len(payload))})
	begin := out.Len()
	out.Write(payload)
	ws.Cipher(out.Bytes()[begin:], maskKey, 0)
	return out.Bytes()
}

// nextFrame returns the first frame of p, which a server sent, and its size in bytes; 0 when it is incomplete.
func nextFrame(p []byte) (opcode byte, payload []byte, size int) {
	if len(p) < 2 {
		return 0, nil, 0
	}
	head, n := 2, uint64(p[1]&0x7f)
	switch {
	case n == 126 && len(p) >= 4:
		head, n = 4, uint64(binary.BigEndian.Uint16(p[2:]))
	case n == 127 && len(p) >= 10:
		head, n = 10, binary.BigEndian.Uint64(p[2:])
	case n >= 126:
		return 0, nil, 0
	}
	if uint64(len(p)) < uint64(head)+n {
		return 0, nil, 0
	}
	return p[0] & 0xf, p[head : head+int(n)], head + int(n)
}
