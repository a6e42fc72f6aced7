package swarm

import (
	"bytes"

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
	in := bytes.NewReader(p)
	head, err := ws.ReadHeader(in)
	begin := len(p) - in.Len()
	end := begin + int(head.Length)
	if err != nil || len(p) < end {
		return 0, nil, 0
	}
	return byte(head.OpCode), p[begin:end], end
}
