package publish

import (
	"bytes"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		key, query string
		bearer     string
		want       bool
	}{
		{"k", "key=k", "", true},
		{"k", "x=1&key=k", "", true},
		{"a b&", "key=a+b%26", "", true},
		{"k", "", "Bearer k", true},
		{"k", "", "bearer k", true},
		{"k", "key=k", "Bearer x", false}, // the header takes precedence
		{"k", "", "", false},
		{"k", "key", "", false},
		{"k", "key=%6", "", false},
		{"k", "", "Basic k", false},
		{"", "", "", true},
		{"", "", "Basic eDp5", true},
		{"", "key=", "", false}, // every key is refused
		{"", "", "Bearer ", false},
	} {
		keys := NewKeys(tc.key)
		var header []byte
		if tc.bearer != "" {
			header = []byte(tc.bearer)
		}
		if got := keys.Admit([]byte(tc.query), header); got != tc.want {
			t.Errorf("key %q: Admit(%q, %q) = %t", tc.key, tc.query, tc.bearer, got)
		}
	}
}

// A body is the same however the input is split, and the bytes after it are not consumed.
func TestABodyIsTheSameHoweverItIsCut(t *testing.T) {
	rules := &Rules{MaxMessageSize: 100, MaxHeadSize: 100}
	const next = "POST /next"
	for _, tc := range []struct {
		length int64
		raw    string
		want   string
		reason Reason // of the refusal, where want is empty
	}{
		{5, "hello", "hello", 0},
		{-1, "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", "hello!", 0},
		{-1, "5\r\nhelloX", "", Malformed},
		{-1, "65\r\n" + strings.Repeat("x", 101), "", TooLarge},
	} {
		raw := tc.raw
		if tc.want != "" {
			raw += next
		}
		for cut := range len(raw) {
			b := Body{Length: tc.length}
			rest, whole, no := b.Read([]byte(raw[:cut]), rules)
			if !whole && no.Status == 0 {
				if len(rest) > 0 {
					t.Fatalf("%q cut at %d: the body is incomplete, but Read left %q", raw, cut, rest)
				}
				rest, whole, no = b.Read([]byte(raw[cut:]), rules)
			} else {
				rest = append(bytes.Clone(rest), raw[cut:]...)
			}
			switch {
			case tc.want == "" && (no.Status == 0 || no.Reason != tc.reason):
				t.Errorf("%q cut at %d: %+v, want %s", raw, cut, no, Reasons[tc.reason])
			case tc.want != "" && (!whole || string(b.Bytes) != tc.want || string(rest) != next):
				t.Errorf("%q cut at %d: body %q, rest %q, whole %t, %+v", raw, cut, b.Bytes, rest, whole, no)
			}
		}
	}
}
