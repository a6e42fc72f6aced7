package command

import (
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// compareString fails t unless the string with inside between its quotes decodes as
// in encoding/json.
func compareString(t *testing.T, inside string) {
	t.Helper()
	quoted := []byte(`"` + inside + `"`)
	s := scanner{data: quoted}
	if _, ok := s.str(); !ok || s.pos != len(quoted) {
		t.Fatalf("the string %s is refused", quoted)
	}
	var want string
	if err := stdjson.Unmarshal(quoted, &want); err != nil {
		t.Fatalf("encoding/json refuses %s: %v", quoted, err)
	}
	got := appendUnquoted([]byte("> "), []byte(inside))
	if string(got) != "> "+want || !utf8.Valid(got) {
		t.Fatalf("%s decodes to %q, want %q", quoted, got[2:], want)
	}
}

func TestEveryUnicodeEscapeDecodesAsInEncodingJSON(t *testing.T) {
	for r := range 0x10000 {
		compareString(t, fmt.Sprintf(`\u%04x`, r))
	}
}

func TestSurrogatesAreJoinedOnlyInPairs(t *testing.T) {
	edges := []string{`\ud800`, `\udbff`, `\udc00`, `\udfff`, `\ud7ff`, `\ue000`, `\uFFFD`, `a`, `\n`, `\\`}
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				compareString(t, a+b+c)
			}
		}
	}
}

func TestRandomBytesDecodeAsInEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	pieces := []string{`\ud83d`, `\ude00`, `\u0041`, `\"`, `\/`, "é", "😀", "\xf0\x9f", "\x98\x80", "\xed\xa0\x80", "\xc0", "z"}
	for range 20000 {
		inside := ""
		for range r.IntN(10) {
			inside += pieces[r.IntN(len(pieces))]
		}
		compareString(t, inside)
	}
}
