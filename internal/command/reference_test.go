package command

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-json"
)

// This file implements the rules of the package again, on top of a JSON library and
// without regard to speed. The fuzz targets compare the two.

// library is a JSON library to compare with.
type library struct {
	name      string
	unmarshal func([]byte, any) error
}

var (
	encodingJSON = library{"encoding/json", stdjson.Unmarshal}
	goJSON       = library{"go-json", func(p []byte, v any) error { return json.Unmarshal(p, v) }}
)

// parse does what Parse does, but returns only the code of an error.
func (l library) parse(msg []byte) (c Command, code string) {
	var m struct {
		Command stdjson.RawMessage `json:"command"`
		Args    stdjson.RawMessage `json:"args"`
		ID      stdjson.RawMessage `json:"id"`
	}
	msg = bytes.TrimPrefix(msg, []byte("\xef\xbb\xbf"))
	if !l.object(msg, &m) {
		return c, BadRequest
	}
	if k := kind(m.ID); k == '"' || k == '-' || isDigit(k) {
		if len(m.ID) <= MaxIDSize {
			c.ID = m.ID
		}
	}
	if kind(m.Args) == '{' {
		c.Args = m.Args
	}
	name, ok := l.str(m.Command)
	c.Name, c.Kind = name, kindOf(name)
	switch {
	case !ok, ambiguous(msg, m.Args), c.Kind == Broadcast && kind(m.Args) == '{' && ambiguousNames(m.Args, argsNames...), c.ID == nil && !null(m.ID), c.Args == nil && !null(m.Args):
		return c, BadRequest
	case c.Kind == Unknown:
		return c, UnknownCommand
	}
	if c.Kind == Broadcast && l.hasAny(msg, append([]string{"content"}, argsNames...)) {
		return c, BadRequest
	}
	var args map[string]stdjson.RawMessage
	if c.Args != nil && l.unmarshal(c.Args, &args) != nil {
		return c, BadRequest
	}
	if c.Kind == Broadcast {
		c.Whom, ok = l.whom(args, argsNames)
	}
	if !ok || !c.Whom.Targeted() {
		if c.Channel = l.channel(args["channel"]); !ok || c.Channel == nil {
			return c, BadRequest
		}
	}
	if since, last := args["since"], args["last"]; c.Kind == Join && (ambiguousNames(c.Args, fromNames...) || since != nil || last != nil) {
		c.From = &From{unclear: ambiguousNames(c.Args, fromNames...), since: notNull(since), last: notNull(last)}
	}
	if c.Kind == Broadcast {
		c.Content = content(args["content"])
	}
	return c, ""
}

// publication does what ParsePublication does.
func (l library) publication(body []byte) (p Publication, code string) {
	var m struct {
		Channel stdjson.RawMessage `json:"channel"`
		Content stdjson.RawMessage `json:"content"`
		Args    stdjson.RawMessage `json:"args"`
	}
	var all map[string]stdjson.RawMessage
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !l.object(body, &m) || l.unmarshal(body, &all) != nil || ambiguous(body, m.Args) || ambiguousNames(body, bodyNames...) || kind(m.Args) != '{' && !null(m.Args) {
		return p, BadRequest
	}
	if !null(m.Args) && l.hasAny(m.Args, bodyNames) {
		return p, BadRequest
	}
	if m.Content == nil && !null(m.Args) {
		var args map[string]stdjson.RawMessage
		if l.unmarshal(m.Args, &args) != nil {
			return p, BadRequest
		}
		m.Content = args["content"]
	}
	whom, ok := l.whom(all, bodyNames)
	if !ok {
		return p, BadRequest
	}
	channel := []byte(nil)
	if !whom.Targeted() {
		if channel = l.channel(m.Channel); channel == nil {
			return p, BadRequest
		}
	}
	return Publication{channel, content(m.Content), whom}, ""
}

// object decodes an object that is not nested too deeply.
func (l library) object(p []byte, v any) bool {
	return kind(bytes.TrimLeft(p, " \t\r\n")) == '{' && l.unmarshal(p, v) == nil && depth(p) <= MaxDepth
}

// The names that make a From.
var fromNames = []string{"since", "last"}

func notNull(raw []byte) []byte {
	if null(raw) {
		return nil
	}
	return raw
}

// equal compares what counts: an unclear From is refused, whatever it says.
func (f *From) equal(g *From) bool {
	if f == nil || g == nil {
		return f == g
	}
	return f.unclear == g.unclear && (f.unclear || bytes.Equal(f.since, g.since) && bytes.Equal(f.last, g.last))
}

func (l library) str(raw []byte) (text []byte, ok bool) {
	var s string
	if kind(raw) != '"' || l.unmarshal(raw, &s) != nil {
		return nil, false
	}
	return []byte(s), true
}

func (l library) channel(raw []byte) []byte {
	if hasHalfPair(raw) {
		return nil
	}
	text, _ := l.str(raw)
	if trimmed := strings.TrimSpace(string(text)); trimmed != "" && trimmed[0] != 0 {
		return []byte(trimmed)
	}
	return nil
}

// ambiguous reports whether one of our names repeats or is written in another case. It
// looks for each name both in the object and in its args.
func ambiguous(object, args []byte) bool {
	always := []string{"command", "args", "channel", "content"}
	return ambiguousNames(object, always...) || kind(args) == '{' && ambiguousNames(args, always...)
}

func ambiguousNames(object []byte, names ...string) (found bool) {
	seen := map[string]bool{}
	eachMember(object, func(name string, _ stdjson.RawMessage) {
		for _, ours := range names {
			if strings.EqualFold(name, ours) {
				found = found || name != ours || seen[ours]
				seen[ours] = true
			}
		}
	})
	return found
}

// eachMember calls found for each member of the object, in order.
func eachMember(object []byte, found func(name string, value stdjson.RawMessage)) {
	d := stdjson.NewDecoder(bytes.NewReader(object))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		var value stdjson.RawMessage
		_ = d.Decode(&value)
		found(name.(string), value)
	}
}

// hasHalfPair reports whether a JSON string has \uD800 to \uDFFF without the other half.
func hasHalfPair(raw []byte) bool {
	text := halves.ReplaceAllString(strings.ReplaceAll(string(raw), `\\`, ""), "")
	return half.MatchString(text)
}

var (
	halves = regexp.MustCompile(`(?i)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})`)
	half   = regexp.MustCompile(`(?i)\\ud[89a-f][0-9a-f]{2}`)
)

func content(raw []byte) []byte {
	if raw == nil {
		return []byte("null")
	}
	return raw
}

func kind(raw []byte) byte {
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

func null(raw []byte) bool { return raw == nil || string(raw) == "null" }

// depth returns how deep the objects and arrays of p nest. p is valid JSON.
func depth(p []byte) (deepest int) {
	level, inString := 0, false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// compareParse fails t unless Parse and the references agree about msg.
func compareParse(t *testing.T, msg []byte) {
	t.Helper()
	var p Parser
	got, err := p.Parse(msg)
	code := ""
	if err != nil {
		code = err.Code
	}
	for _, l := range []library{encodingJSON, goJSON} {
		want, wantCode := l.parse(msg)
		if code != wantCode {
			t.Fatalf("Parse(%q) answers %q, with %s %q", msg, code, l.name, wantCode)
		}
		if err == errSyntax || err == errNotObject || err == errDepth {
			continue // Parse reads more of an invalid message than the libraries do
		}
		compareField(t, l, msg, "id", got.ID, want.ID)
		compareField(t, l, msg, "name", got.Name, want.Name)
		if got.Kind != want.Kind {
			t.Fatalf("Parse(%q) is a %v, with %s a %v", msg, got.Kind, l.name, want.Kind)
		}
		if err == nil {
			compareField(t, l, msg, "channel", got.Channel, want.Channel)
			compareField(t, l, msg, "content", got.Content, want.Content)
			compareField(t, l, msg, "args", got.Args, want.Args)
			if !got.From.equal(want.From) {
				t.Fatalf("Parse(%q) begins at %+v, with %s at %+v", msg, got.From, l.name, want.From)
			}
			compareWhom(t, l, msg, got.Whom, want.Whom)
		}
	}
}

func comparePublication(t *testing.T, body []byte) {
	t.Helper()
	got, err := ParsePublication(body)
	code := ""
	if err != nil {
		code = err.Code
	}
	for _, l := range []library{encodingJSON, goJSON} {
		want, wantCode := l.publication(body)
		if code != wantCode {
			t.Fatalf("ParsePublication(%q) answers %q, with %s %q", body, code, l.name, wantCode)
		}
		compareField(t, l, body, "channel", got.Channel, want.Channel)
		compareField(t, l, body, "content", got.Content, want.Content)
		if err == nil {
			compareWhom(t, l, body, got.Whom, want.Whom)
		}
	}
}

func compareField(t *testing.T, l library, input []byte, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%q: the %s is %q, with %s %q", input, what, got, l.name, want)
	}
}

func compareWhom(t *testing.T, l library, input []byte, got, want *Whom) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is for %+v, with %s for %+v", input, got, l.name, want)
	}
}
