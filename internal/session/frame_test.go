package session

import (
	"encoding/binary"
	"fmt"
)

// Opcodes; RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// A frame is one frame of the server. fin is false for all fragments but the last.
type frame struct {
	fin     bool
	op      byte
	payload string
}

func (f frame) String() string {
	name, ok := map[byte]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}[f.op]
	if !ok {
		name = fmt.Sprintf("opcode %#x", f.op)
	}
	if f.op == opClose && len(f.payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16([]byte(f.payload)), f.payload[2:])
	}
	if len(f.payload) > 200 {
		return fmt.Sprintf("%s of %d bytes %q…", name, len(f.payload), f.payload[:200])
	}
	return fmt.Sprintf("%s %q", name, f.payload)
}

// maskKey masks every frame that these tests send.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked returns a client's frame. first is its first byte: FIN, the reserved bits and
// the opcode.
func masked(first byte, payload string) string {
	b := make([]byte, 0, len(payload)+14)
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 0x80|127), uint64(n))
	}
	b = append(b, maskKey[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^maskKey[i&3])
	}
	return string(b)
}

// message returns a client's frame with a whole text message.
func message(text string) string { return masked(0x80|opText, text) }

// closing returns a client's Close frame. With code 0 it has no payload.
func closing(code int, reason string) string {
	if code == 0 {
		return masked(0x80|opClose, "")
	}
	return masked(0x80|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// closeCode returns the code in a Close frame, or 0 if there is none.
func closeCode(f frame) int {
	if f.op != opClose || len(f.payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(f.payload)))
}
