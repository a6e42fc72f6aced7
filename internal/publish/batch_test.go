package publish

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"wsify/internal/command"
)

var testRules = &Rules{MaxMessageSize: 40, MaxHeadSize: 100, MaxChannelLength: 10}

// describe returns the items of a batch as text, or its refusal.
func describe(items []Item, no Refusal) string {
	if no.Status != 0 {
		return fmt.Sprintf("%d %s", no.Status, no.Detail)
	}
	var b strings.Builder
	for _, it := range items {
		if it.Bad != nil {
			fmt.Fprintf(&b, "%s: %s;", it.Bad.Code, it.Bad.Message)
		} else {
			fmt.Fprintf(&b, "%s %s %+v;", it.Channel, it.Content, it.Whom)
		}
	}
	return b.String()
}

// The same publications are the same batch as an array and as lines, whatever stands between them.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"channel":"a","content":1}`), []byte(`{"channels":["a","b"]}`), []byte(`7`))
	f.Add([]byte(`{"channel":"a","content":"]},{"}`), []byte(``), []byte(`[[]]`))
	f.Add([]byte(`{"channel":"a"`), []byte("{\"channel\":\"\xff\"}"), []byte(`"\ud800"`))
	f.Add([]byte(`{},{}`), []byte("1\n2"), []byte("\ufeff{}"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var texts [][]byte
		for _, text := range [][]byte{a, b, c} {
			if text = bytes.Trim(text, " \t\r"); len(text) > 0 && !bytes.Contains(text, []byte("\n")) && !bytes.HasPrefix(text, []byte("\ufeff")) {
				texts = append(texts, text)
			}
		}
		lines, no := testRules.Batch(bytes.Join(texts, []byte("\r\n \n")), true)
		if no.Status != 0 || len(lines) != len(texts) {
			t.Fatalf("%q as lines: %s, want %d items", texts, describe(lines, no), len(texts))
		}
		array, no := testRules.Batch(append(append([]byte(" [ "), bytes.Join(texts, []byte(" ,\n"))...), " ]\n"...), false)
		if no.Status != 0 {
			for _, it := range lines {
				if it.Bad != nil {
					return // an array that is no JSON cannot be told apart
				}
			}
			t.Fatalf("%q as an array: %s", texts, no.Detail)
		}
		if got, want := describe(array, no), describe(lines, Refusal{}); got != want && len(array) == len(lines) {
			t.Fatalf("%q as an array is %s, as lines %s", texts, got, want)
		}
	})
}

// A body means the same however it arrives: with a length and in chunks, cut anywhere.
func FuzzBodyInPieces(f *testing.F) {
	f.Add([]byte(`[{"channel":"a"}]`), uint16(3), false)
	f.Add([]byte(`{"channel":"a","content":"`+strings.Repeat("x", 20)+`"}`), uint16(40), false)
	f.Add([]byte(strings.Repeat(" ", 45)), uint16(44), false)
	f.Add([]byte(" \ufeff"+strings.Repeat(`[{"channel":"a"}]`, 3)), uint16(2), true)
	f.Fuzz(func(t *testing.T, body []byte, cut uint16, lines bool) {
		at := int(cut) % (len(body) + 1)
		length := func(parts ...[]byte) (got []byte, no Refusal) {
			b := Body{Length: int64(len(body)), Lines: lines}
			for _, p := range parts {
				if _, _, no = b.Read(p, testRules); no.Status != 0 {
					return nil, no
				}
			}
			return b.Bytes, no
		}
		chunks := func(parts ...[]byte) (got []byte, no Refusal) {
			b := Body{Length: -1, Lines: lines}
			var raw []byte
			for _, p := range parts {
				if len(p) > 0 {
					raw = append(fmt.Appendf(raw, "%x\r\n", len(p)), p...)
					raw = append(raw, "\r\n"...)
				}
			}
			_, _, no = b.Read(append(raw, "0\r\n\r\n"...), testRules)
			if no.Status != 0 {
				return nil, no
			}
			return b.Bytes, no
		}
		want, wantNo := length(body)
		for name, read := range map[string]func(...[]byte) ([]byte, Refusal){"with a length": length, "in chunks": chunks} {
			got, no := read(body[:at], body[at:])
			if !reflect.DeepEqual(no, wantNo) || !bytes.Equal(got, want) {
				t.Fatalf("%q cut at %d, %s: %q, %+v; want %q, %+v", body, at, name, got, no, want, wantNo)
			}
		}
	})
}

func TestOutcomesAsJSON(t *testing.T) {
	bad := &command.Error{Code: command.Limit, Message: `a "quoted" text`}
	for _, tc := range []struct {
		each []Outcome
		want string
	}{
		{[]Outcome{{Members: 3, Position: "e-1"}}, `{"ok":true,"members":3,"position":"e-1"}`},
		{[]Outcome{{Bad: bad}}, `{"ok":false,"error":{"code":"limit","message":"a \"quoted\" text"}}`},
		{[]Outcome{{Members: 1}, {Members: 2, Position: "e-1"}}, `{"ok":true,"members":3,"outcomes":[{"ok":true,"members":1},{"ok":true,"members":2,"position":"e-1"}]}`},
	} {
		if got := string(AppendOutcome(nil, tc.each)); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.each, got, tc.want)
		}
	}
}
