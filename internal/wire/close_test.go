package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseClose(t *testing.T) {
	reason := strings.Repeat("*", 123)
	tests := []struct {
		rule, payload string
		code          CloseCode
		reason        string
		fails         bool
	}{
		{"7.3.1 empty payload is no status", "", NoStatus, "", false},
		{"7.3.2 one byte", "a", ProtocolViolation, "", true},
		{"7.3.3 code alone", "\x03\xe8", Normal, "", false},
		{"7.3.4 code and reason", "\x03\xe8Hello World!", Normal, "Hello World!", false},
		{"7.3.5 longest reason", "\x03\xe8" + reason, Normal, reason, false},
		{"7.5.1 reason is not UTF-8", "\x03\xe8\xce\xba\xed\xa0\x80", InvalidPayload, "", true},
		{"7.5.1 reason ends inside a rune", "\x03\xe8\xce", InvalidPayload, "", true},
		{"7.9 a bad code comes before a bad reason", "\x03\xed\xff", ProtocolViolation, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			code, reason, err := ParseClose([]byte(tt.payload))
			if code != tt.code || string(reason) != tt.reason || (err != nil) != tt.fails {
				t.Errorf("ParseClose(%q) = %d, %q, %v; want %d, %q, error %t", tt.payload, code, reason, err, tt.code, tt.reason, tt.fails)
			}
			if bad := new(ProtocolError); err != nil && (!errors.As(err, &bad) || bad.Code != code) {
				t.Errorf("ParseClose(%q): error %v does not carry code %d", tt.payload, err, code)
			}
		})
	}
}

func TestCloseCodesThatMayBeSent(t *testing.T) {
	allowed := func(c int) bool {
		switch c {
		case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014: // 7.7
			return true
		}
		return c >= 3000 && c <= 4999 // 7.7; the rest of 7.9 and 7.13
	}
	for c := range 1 << 16 {
		code, _, err := ParseClose([]byte{byte(c >> 8), byte(c)})
		if ok := err == nil; ok != allowed(c) || ok && int(code) != c || !ok && code != ProtocolViolation {
			t.Errorf("ParseClose of code %d = %d, %v; allowed is %t", c, code, err, allowed(c))
		}
	}
}

func TestAppendClose(t *testing.T) {
	full := strings.Repeat("x", 123)
	tests := []struct {
		rule   string
		code   CloseCode
		reason string
		want   string // after the first byte
	}{
		{"code 0 has no payload", 0, "not sent", "\x00"},
		{"1005 has no payload", NoStatus, "not sent", "\x00"},
		{"1006 has no payload", Abnormal, "", "\x00"},
		{"1015 has no payload", TLSFailure, "", "\x00"},
		{"code alone", GoingAway, "", "\x02\x03\xe9"},
		{"code and reason", SlowConsumer, "slow", "\x06\x0f\xa1slow"},
		{"reason of 123 bytes stays", Normal, full, "\x7d\x03\xe8" + full},
		{"reason of 124 bytes is cut", Normal, full + "x", "\x7d\x03\xe8" + full},
		{"reason is cut between runes", Normal, full[:122] + "é", "\x7c\x03\xe8" + full[:122]},
		{"a rune may end at byte 123", Normal, full[:121] + "é!", "\x7d\x03\xe8" + full[:121] + "é"},
		{"reason ends where UTF-8 does", Normal, "ok\xffrest", "\x04\x03\xe8ok"},
		{"a replacement rune is UTF-8", Normal, "\ufffd!", "\x06\x03\xe8\ufffd!"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got := AppendClose([]byte("dst"), tt.code, tt.reason)
			if want := "dst\x88" + tt.want; string(got) != want {
				t.Errorf("AppendClose(dst, %d, %q) = %q, want %q", tt.code, tt.reason, got, want)
			}
		})
	}
}

func TestAppendFrame(t *testing.T) {
	tests := []struct {
		rule string
		op   Opcode
		n    int
		head string
	}{
		{"5.7 unmasked text", OpText, 5, "\x81\x05"},
		{"5.7 unmasked ping", OpPing, 5, "\x89\x05"},
		{"empty", OpPong, 0, "\x8a\x00"},
		{"longest 7-bit length", OpBinary, 125, "\x82\x7d"},
		{"shortest 16-bit length", OpBinary, 126, "\x82\x7e\x00\x7e"},
		{"5.7 256 bytes", OpBinary, 256, "\x82\x7e\x01\x00"},
		{"longest 16-bit length", OpBinary, 65535, "\x82\x7e\xff\xff"},
		{"5.7 64 KiB", OpBinary, 65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			payload := bytes.Repeat([]byte("p"), tt.n)
			got := AppendFrame([]byte("dst"), tt.op, payload)
			if want := "dst" + tt.head + string(payload); string(got) != want {
				t.Errorf("AppendFrame of %d bytes begins %q, want %q", tt.n, got[:min(len(got), 16)], "dst"+tt.head)
			}
			if size := FrameSize(tt.n); size != len(got)-3 {
				t.Errorf("FrameSize(%d) = %d, want %d", tt.n, size, len(got)-3)
			}
		})
	}
}

func TestTextCheckFindsTheFirstImpossibleByte(t *testing.T) {
	for _, s := range append(append([]string{"", "plain", "κόσμε\U0001f600"}, validUTF8...), invalidUTF8...) {
		var whole, bytewise textCheck
		possible, finished := refText([]byte(s))
		if ok := whole.feed([]byte(s)); ok != possible || ok && whole.complete() != finished {
			t.Errorf("%x at once: possible %t, complete %t; want %t, %t", s, ok, whole.complete(), possible, finished)
		}
		for i := range len(s) {
			want, _ := refText([]byte(s[:i+1]))
			if ok := bytewise.feed([]byte(s[i : i+1])); ok != want {
				t.Errorf("%x: byte %d gives %t, want %t", s, i, ok, want)
			} else if !ok {
				break
			}
		}
	}
}

func TestTextCheckAgreesWithTheLibraryOnAllShortTexts(t *testing.T) {
	alphabet := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff}
	p := make([]byte, 4)
	for i := range len(alphabet) * len(alphabet) * len(alphabet) * len(alphabet) {
		for k := range p {
			p[k], i = alphabet[i%len(alphabet)], i/len(alphabet)
		}
		for cut := range 5 {
			var c textCheck
			if got, want := c.feed(p[:cut]) && c.feed(p[cut:]) && c.complete(), utf8.Valid(p); got != want {
				t.Fatalf("%x cut at %d: valid is %t, want %t", p, cut, got, want)
			}
		}
	}
}

func TestAFrameInPlaceIsTheFrameOfItsPayload(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16} {
		payload := bytes.Repeat([]byte("p"), n)
		p := append(make([]byte, MaxHeader), payload...)
		if got, want := FrameInPlace(p, OpText), AppendFrame(nil, OpText, payload); !bytes.Equal(got, want) || n > 0 && &got[0] != &p[0] {
			t.Errorf("FrameInPlace of %d bytes begins %q, want %q, in the same memory", n, got[:min(len(got), 16)], want[:min(len(want), 16)])
		}
	}
}
