package command

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// valid reports whether a scanner accepts text as one JSON value.
func valid(text []byte) bool {
	s := scanner{data: text}
	s.space()
	if _, ok := s.value(0); !ok {
		return false
	}
	s.space()
	return s.pos == len(text)
}

func TestGrammarOfRFC8259(t *testing.T) {
	for _, tc := range []struct{ section, texts string }{ // texts separated by spaces
		{"3 values", `true false null tru True nul nulll truefalse nan NaN Infinity undefined -`},
		{"4 objects", `{} {"a":1} {"a":1,"b":{}} { {"a"} {"a":} {"a":1,} {,} {"a":1,,"b":2} {1:2} {"a":1;"b":2} {"a"=1} {"a":1]`},
		{"5 arrays", `[] [1] [[],[[]],{}] [ [1 [,] [1,] [,1] [1,,2] [1;2] [1} [] ] []]`},
		{"6 numbers", `0 -0 10 1.5 -1.5e3 1E+2 1e-2 0e0 0.0 1e999 00 01 -01 +1 .5 1. 1.e2 1e 1e+ 1.5.5 -- 0x1 1_0 1a 1e5.5 -a`},
		{"7 strings", `"" "a" "\"" "\\" "\/" "\b\f\n\r\t" "\u00ff" "\uD800" "é" "a "b "\ "\" "\x" "\u" "\u1" "\u12" "\u123" "\u12g4" "\U0041" 'a' "a""b"`},
	} {
		for _, text := range strings.Fields(tc.texts) {
			if got, want := valid([]byte(text)), stdjson.Valid([]byte(text)); got != want {
				t.Errorf("%s: %s is valid: got %v, want %v", tc.section, text, got, want)
			}
		}
	}
}

func TestControlCharactersInStringsAreRefused(t *testing.T) {
	for c := range 256 {
		// At every position in a word, and in the bytes after the last word.
		for at := range 18 {
			text := []byte(`"` + strings.Repeat("a", 18) + `"`)
			text[1+at] = byte(c)
			if got, want := valid(text), stdjson.Valid(text); got != want {
				t.Fatalf("%q is valid: got %v, want %v", text, got, want)
			}
		}
	}
}

// plainWords stops at a quote, backslash or control character at any position of a
// word. It does not stop at other bytes.
func TestWordsAreSkippedUpToTheFirstSpecialByte(t *testing.T) {
	for c := range 256 {
		special := c == '"' || c == '\\' || c < ' '
		for at := range 16 {
			for _, fill := range []byte{'a', ' ', 0x7f, 0x80, 0xff} {
				p := bytes.Repeat([]byte{fill}, 19) // two words and a rest
				p[at] = byte(c)
				want := 16
				if special {
					want = at
				}
				if got := plainWords(p); got != want {
					t.Fatalf("plainWords(%q) = %d, want %d", p, got, want)
				}
			}
		}
	}
}

// sample has every kind of JSON value, escape and white space.
const sample = `{"command":"broadcast", "args":{"channel":" a\u00e9\ud83d\ude00 ","content":` +
	`[{"k\n":[-1.5e+3,0,true,{}]},"s\\",null,[],false]},"id":"x-1"}`

func TestOneByteAltered(t *testing.T) {
	for i := range len(sample) {
		for c := range 256 {
			msg := []byte(sample)
			msg[i] = byte(c)
			compareParse(t, msg)
		}
	}
}

func TestOneByteTakenOut(t *testing.T) {
	for i := range len(sample) {
		compareParse(t, []byte(sample[:i]+sample[i+1:]))
	}
}

func TestOneByteDoubled(t *testing.T) {
	for i := range len(sample) {
		compareParse(t, []byte(sample[:i+1]+sample[i:]))
	}
}

func TestCutMessagesAreRefused(t *testing.T) {
	var p Parser
	for i := range len(sample) {
		if c, err := p.Parse([]byte(sample[:i])); err == nil {
			t.Errorf("Parse(%q) accepts a truncated message: %s", sample[:i], describe(c, err))
		}
	}
}

// pieces are the parts of random messages. They are few, so that each occurs often.
var pieces = []string{`{`, `}`, `[`, `]`, `,`, `:`, ` `, `"command"`, `"args"`, `"id"`, `"channel"`, `"content"`,
	`"join"`, `"broadcast"`, `"a"`, `1`, `null`, `"COMMAND"`, `"\u0061rgs"`, `"Channel"`, `true`, `""`, `"\ud800"`}

func TestRandomMessagesAgreeWithEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		msg := []byte(`{"command":"broadcast","args":{"channel":"a"`)
		for range r.IntN(12) {
			msg = append(msg, pieces[r.IntN(len(pieces))]...)
		}
		compareParse(t, append(msg, `}}`...))
	}
}

// The members are random, so most messages are valid JSON. Names repeat, differ in
// case and appear on the wrong level.
func TestRandomMembersAgreeWithEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	names := []string{"command", "args", "id", "channel", "content", "Args", "ID", `\u0069d`, "Content", "x"}
	values := []string{`"join"`, `"broadcast"`, `"leave"`, `1`, `null`, `"a"`, `[]`, `{"channel":"b"}`, `" "`, `true`}
	object := func(inner string) string {
		var b strings.Builder
		for i := range r.IntN(5) {
			if i > 0 {
				b.WriteByte(',')
			}
			value := values[r.IntN(len(values))]
			if inner != "" && r.IntN(3) == 0 {
				value = inner
			}
			fmt.Fprintf(&b, `"%s":%s`, names[r.IntN(len(names))], value)
		}
		return "{" + b.String() + "}"
	}
	for range 20000 {
		msg := []byte(object(object("")))
		compareParse(t, msg)
		comparePublication(t, msg)
	}
}

func TestDepthEndsAtTheLimit(t *testing.T) {
	if want := fmt.Sprint("deeper than ", MaxDepth); !strings.Contains(errDepth.Message, want) {
		t.Errorf("the error says %q, the limit is %d", errDepth.Message, MaxDepth)
	}
	nest := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, tc := range []struct{ name, open, inner, end string }{
		{"arrays", `[`, ``, `]`},
		{"objects", `{"a":`, `1`, `}`},
		{"both", `[{"a":`, `""`, `}]`},
	} {
		levels := strings.Count(tc.open, "[") + strings.Count(tc.open, "{")
		for _, place := range []struct {
			name, before, after string
			around              int
		}{
			{"content", `{"command":"broadcast","args":{"channel":"a","content":`, `}}`, 2},
			{"a member of the message", `{"command":"join","args":{"channel":"a"},"x":`, `}`, 1},
		} {
			fit := (MaxDepth - place.around) / levels
			for n, want := range map[int]*Error{1: nil, fit: nil, fit + 1: errDepth, 100_000: errDepth} {
				var p Parser
				msg := []byte(place.before + nest(tc.open, tc.inner, tc.end, n) + place.after)
				if _, err := p.Parse(msg); err != want {
					t.Errorf("%s nested %d times as %s: error %v, want %v", tc.name, n, place.name, err, want)
				}
				compareParse(t, msg)
			}
		}
	}
}

// The scanner remembers the kind of each open level. It refuses a bracket of the
// other kind at every depth, also after other levels were opened and closed.
func TestBracketsMatchAtEveryDepth(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var text, ends []byte
		for range 1 + r.IntN(300) {
			if r.IntN(2) == 0 {
				text, ends = append(text, `[{"x":[]},[{}],`...), append(ends, ']')
			} else {
				text, ends = append(text, `{"k":[[]],"o":`...), append(ends, '}')
			}
		}
		text = append(text, '0')
		for i := len(ends); i > 0; i-- {
			text = append(text, ends[i-1])
		}
		if !valid(text) {
			t.Fatalf("refused: %s", text)
		}
		wrong := bytes.Clone(text)
		at := len(text) - 1 - r.IntN(len(ends))
		wrong[at] ^= ']' ^ '}'
		if valid(wrong) {
			t.Fatalf("accepted with the wrong bracket at %d: %s", at, wrong)
		}
	}
}
