package command

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-json"
)

// messages are typical input: the commands as a browser writes them, an
// escaped name, a content of text and one of numbers and brackets.
var messages = []struct{ name, text string }{
	{"join", `{"command":"join","args":{"channel":"room:1234"}}`},
	{"join_id", `{"command":"join","args":{"channel":"room:1234","token":"a1b2c3"},"id":17}`},
	{"join_escaped", `{"command":"join","args":{"channel":"caf\u00e9 \ud83d\ude00"}}`},
	{"broadcast_128B", `{"command":"broadcast","args":{"channel":"room:1234","content":` +
		`{"user":42,"text":"hello there, everyone","at":1700000000}}}`},
	{"broadcast_text_4KiB", `{"command":"broadcast","args":{"channel":"room:1234","content":"` +
		strings.Repeat("0123456789abcdef", 256) + `"}}`},
	{"broadcast_tree_4KiB", `{"command":"broadcast","args":{"channel":"room:1234","content":[` +
		strings.TrimSuffix(strings.Repeat(`{"x":-12.5,"y":[1,2,3],"name":"p"},`, 117), ",") + `]}}`},
}

// BenchmarkParse shows why Parse has a scanner of its own. Unmarshal into a
// struct with raw members allocates several times per message.
func BenchmarkParse(b *testing.B) {
	for _, m := range messages {
		b.Run(m.name, func(b *testing.B) {
			msg, p := []byte(m.text), Parser{}
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := p.Parse(msg); err != nil {
					b.Fatal(err.Message)
				}
			}
		})
	}
}

// BenchmarkParseGoJSON measures the rejected alternative goccy/go-json.
func BenchmarkParseGoJSON(b *testing.B) {
	benchmarkUnmarshal(b, func(p []byte, v any) error { return json.Unmarshal(p, v) })
}

// BenchmarkParseEncodingJSON measures the rejected alternative encoding/json.
func BenchmarkParseEncodingJSON(b *testing.B) { benchmarkUnmarshal(b, stdjson.Unmarshal) }

func benchmarkUnmarshal(b *testing.B, unmarshal func([]byte, any) error) {
	type args struct {
		Channel string             `json:"channel"`
		Content stdjson.RawMessage `json:"content"`
	}
	type message struct {
		Command string             `json:"command"`
		Args    stdjson.RawMessage `json:"args"`
		ID      stdjson.RawMessage `json:"id"`
	}
	for _, m := range messages {
		b.Run(m.name, func(b *testing.B) {
			msg := []byte(m.text)
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				var c message
				var a args
				if err := unmarshal(msg, &c); err != nil {
					b.Fatal(err)
				}
				if err := unmarshal(c.Args, &a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkString shows what str gains by testing eight bytes at once.
func BenchmarkString(b *testing.B) {
	text := []byte(`"` + strings.Repeat("0123456789abcdef", 64) + `"`)
	b.Run("words", func(b *testing.B) {
		s := scanner{data: text}
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if s.pos = 0; !s.simple('"') {
				b.Fatal("a string was refused")
			}
		}
	})
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if stringByBytes(text) != len(text) {
				b.Fatal("a string was refused")
			}
		}
	})
}

// stringByBytes is the simple alternative, byte by byte. It returns the size of
// the string that p begins with, or 0.
func stringByBytes(p []byte) int {
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			n := escapeLen(p[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case c < ' ':
			return 0
		}
	}
	return 0
}

func BenchmarkParseRefused(b *testing.B) {
	msg, p := []byte(`{"command":"jump","args":{"channel":"room:1234"},"id":17}`), Parser{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(msg); err == nil {
			b.Fatal("an unknown command was accepted")
		}
	}
}

func BenchmarkParsePublication(b *testing.B) {
	body := []byte(`{"channel":"room:1234","content":{"user":42,"text":"hello there, everyone"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePublication(body); err != nil {
			b.Fatal(err.Message)
		}
	}
}

func BenchmarkAppendOK(b *testing.B) {
	id, buf := []byte("17"), make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendOK(buf[:0], id)
	}
}

func BenchmarkAppendError(b *testing.B) {
	id, buf := []byte("17"), make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendError(buf[:0], id, ErrDenied)
	}
}

func BenchmarkAppendAuthorizerBody(b *testing.B) {
	c, buf := Command{Kind: Join, Args: []byte(`{"channel":"room:1234"}`)}, make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendAuthorizerBody(buf[:0], &c)
	}
}

func BenchmarkAppendConnectBody(b *testing.B) {
	headers := map[string][]string{
		"Host": {"example.com"}, "Origin": {"https://example.com"}, "User-Agent": {"bench/1"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	query, buf := map[string][]string{"token": {"a1b2c3"}}, make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendConnectBody(buf[:0], headers, query); err != nil {
			b.Fatal(err)
		}
	}
}
