//go:build linux

package main

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// serverFrame is a frame as servers send it.
func serverFrame(first byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		return append([]byte{first, byte(n)}, payload...)
	case n <= 0xffff:
		return append([]byte{first, 126, byte(n >> 8), byte(n)}, payload...)
	default:
		return append([]byte{first, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, payload...)
	}
}

// stream is every kind of frame a server sends, with the events it means.
func stream() (in []byte, want []string) {
	for _, f := range []struct {
		first   byte
		payload []byte
		event   string
	}{
		{0x81, []byte("hi"), "1 size=2"},
		{0x89, []byte("are you there"), "9 size=0 are you there"},
		{0x81, nil, "1 size=0"},
		{0x01, []byte("frag"), ""},
		{0x8a, nil, "a size=0 "},
		{0x80, []byte("ment"), "1 size=8"},
		{0x81, make([]byte, 126), "1 size=126"},
		{0x82, make([]byte, 65536), "1 size=65536"},
		{0x88, []byte{3, 0xe8}, "8 size=0 \x03\xe8"},
	} {
		in = append(in, serverFrame(f.first, f.payload)...)
		if f.event != "" {
			want = append(want, f.event)
		}
	}
	return in, want
}

// follow feeds the input in pieces and returns the events.
func follow(in []byte, piece int) []string {
	var f frames
	var got []string
	for p := range slices.Chunk(in, piece) {
		for len(p) > 0 {
			rest, e, ok := f.next(p)
			if !ok {
				break
			}
			p = rest
			text := fmt.Sprintf("%x size=%d", e.opcode, e.size)
			if e.opcode != opText {
				text += " " + string(e.payload)
			}
			got = append(got, text)
		}
	}
	return got
}

func TestAnySplitOfTheStreamGivesTheSameEvents(t *testing.T) {
	in, want := stream()
	for _, piece := range []int{1, 2, 3, 5, 7, 11, 64, 1000, 65537, len(in)} {
		if got := follow(in, piece); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: got %q, want %q", piece, got, want)
		}
	}
}

func TestKeptPayloadIsThatOfTheMessage(t *testing.T) {
	f := frames{keep: true}
	rest, e, ok := f.next(append(serverFrame(0x81, []byte("one")), serverFrame(0x81, []byte("two"))...))
	if !ok || string(e.payload) != "one" {
		t.Errorf("first message: got %q, %v, want \"one\"", e.payload, ok)
	}
	if _, e, ok = f.next(rest); !ok || string(e.payload) != "two" {
		t.Errorf("second message: got %q, %v, want \"two\"", e.payload, ok)
	}
}

func TestClientFrameIsMaskedAndUnmasksToItsPayload(t *testing.T) {
	for _, tt := range []struct{ size, header int }{{0, 6}, {125, 6}, {126, 8}, {65535, 8}, {65536, 14}} {
		payload := bytes.Repeat([]byte("abc"), tt.size)[:tt.size]
		frame := clientFrame(opText, payload)
		if len(frame) != tt.header+tt.size || frame[0] != 0x81 || frame[1]&0x80 == 0 {
			t.Errorf("%d bytes: frame of %d bytes starts % x", tt.size, len(frame), frame[:2])
			continue
		}
		for i := range payload {
			frame[tt.header+i] ^= frame[tt.header-4+i&3]
		}
		if !bytes.Equal(frame[tt.header:], payload) {
			t.Errorf("%d bytes: payload is not what was sent", tt.size)
		}
	}
}

func TestFloorFrameIsOneMessageOfTheSizeOfTheServers(t *testing.T) {
	for _, size := range []int{1, 66, 125, 126, 128, 1024, 65535, 65536} {
		frame := floorFrame(serverFrameSize(size))
		var f frames
		rest, e, ok := f.next(frame)
		if !ok || len(rest) != 0 || e.size != size || e.opcode != opText {
			t.Errorf("%d bytes of content: got %+v, %v, %d bytes left", size, e, ok, len(rest))
		}
	}
}
