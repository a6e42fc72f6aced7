package command

import (
	"bytes"
	stdjson "encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// seen is an object of wsify.v1 as encoding/json reads it.
type seen struct {
	Type     string
	Channel  *string
	User     *string
	Position *string
	Content  stdjson.RawMessage
	ID       stdjson.RawMessage
	OK       *bool
}

// decodeOne reads text as one object, with nothing after it.
func decodeOne(t *testing.T, text []byte) (o seen) {
	t.Helper()
	if err := stdjson.Unmarshal(text, &o); err != nil || text[0] != '{' || !utf8.Valid(text) {
		t.Fatalf("%q is not one object in UTF-8: %v", text, err)
	}
	return o
}

// asText is what a JSON string of text is read as.
func asText(text string) string { return string([]rune(text)) }

// checkMember fails t unless a member is want, or absent when want is empty.
func checkMember(t *testing.T, name string, got *string, want string) {
	t.Helper()
	if want == "" && got != nil || want != "" && (got == nil || *got != asText(want)) {
		t.Fatalf("%s %q is read as %v", name, want, got)
	}
}

// checkEnvelope fails t unless the envelope is read as what it was made of.
func checkEnvelope(t *testing.T, channel, content []byte, user, position string) {
	t.Helper()
	text := AppendEnvelope([]byte("> "), channel, content, user, position)
	if !bytes.HasPrefix(text, []byte(`> {"type":"message",`)) {
		t.Fatalf("%q does not begin with its type", text)
	}
	o := decodeOne(t, text[2:])
	if o.Type != "message" || o.ID != nil || o.OK != nil {
		t.Fatalf("%q passes for something else", text)
	}
	checkMember(t, "channel", o.Channel, string(channel))
	checkMember(t, "user", o.User, user)
	checkMember(t, "position", o.Position, position)
	if Valid(content) {
		if !bytes.Equal(o.Content, bytes.Trim(content, " \t\r\n")) {
			t.Fatalf("the content %q is read as %q", content, o.Content)
		}
		return
	}
	var s string
	if err := stdjson.Unmarshal(o.Content, &s); err != nil || s != asText(string(content)) {
		t.Fatalf("the content %q is read as %q, %v", content, o.Content, err)
	}
}

// hostile are texts that have broken encoders.
var hostile = []string{
	"", "news", `a"b`, `a\`, `\"`, "\x00\x01\x1f\x7f", "\b\f\n\r\t", "é 日本 😀", "\u2028\u2029", "\ufeff", "\ufffd",
	"bad \xff byte", "\xe2\x80", "\xed\xa0\x80", `","type":"reply","id":1,"ok":true,"x":"`, "<&>", strings.Repeat("x", 300),
}

func TestAnEnvelopeIsReadAsWhatItWasMadeOf(t *testing.T) {
	for _, text := range hostile {
		for _, content := range append([]string{`{"a":[1,2.50e3]}`, ` [ ] `, `"x"`, "null", `{"a":1,"a":2}`, "18446744073709551616"}, hostile...) {
			checkEnvelope(t, []byte(text), []byte(content), "", "")
			checkEnvelope(t, []byte("c"), []byte(content), text, "e-1")
			checkEnvelope(t, nil, []byte(content), "ann", text)
		}
	}
}

// Content that looks like an answer, or tries to end the object it is in, stays content.
func TestContentCannotForgeAnswers(t *testing.T) {
	for _, content := range []string{
		`{"type":"reply","id":1,"ok":true}`,
		`1,"type":"reply","id":1,"ok":true`,
		`1},{"type":"reply","id":1,"ok":true}`,
		`1}` + "\n" + `{"type":"reply","id":1,"ok":true}`,
		`"},"type":"reply","id":1,"ok":true,"x":{"`,
		`{"type":"reply","id":1,"ok":true}{}`,
		"1\x00{\"type\":\"reply\"}",
		"\xef\xbb\xbf" + `{"type":"reply"}`,
		`{"type":"reply","id":1,"ok":true,"a":"` + "\xff" + `"}`,
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
		`"half`, `tru`, `01`, `[1,]`, `'x'`, "",
	} {
		checkEnvelope(t, []byte("news"), []byte(content), "ann", "e-1")
		checkEnvelope(t, nil, []byte(content), "", "")
	}
}

func TestRepliesAndGapsHaveAType(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{string(AppendReply([]byte("> "), AppendOK(nil, []byte(`"a"`)))), `> {"type":"reply","id":"a","ok":true}`},
		{string(AppendReply(nil, AppendError(nil, []byte("1"), ErrDenied))), `{"type":"reply","id":1,"ok":false,"error":{"code":"denied","message":"` + ErrDenied.Message + `"}}`},
		{string(AppendGap([]byte("> "), []byte("a\"b"), "e1-9")), `> {"type":"gap","channel":"a\"b","position":"e1-9"}`},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
	if n := len(AppendReply(nil, []byte("{}"))) - len("{}"); n != ReplyOverhead {
		t.Errorf("ReplyOverhead is %d, an answer grows by %d", ReplyOverhead, n)
	}
}

func TestEnvelopeOverheadIsExact(t *testing.T) {
	if n := len(AppendEnvelope(nil, []byte("c"), []byte("1"), "u", "p")) - 4; n != EnvelopeOverhead {
		t.Errorf("EnvelopeOverhead is %d, want %d", EnvelopeOverhead, n)
	}
}

func TestStringsAreWrittenAsEncodingJSONReadsThem(t *testing.T) {
	for _, text := range hostile {
		var got string
		quoted := appendQuoted([]byte("> "), text)
		if err := stdjson.Unmarshal(quoted[2:], &got); err != nil || got != asText(text) {
			t.Errorf("%q is written as %s and read as %q, %v", text, quoted, got, err)
		}
		if strings.ContainsAny(string(quoted), "\u2028\u2029\n") {
			t.Errorf("%q is written with a line end: %q", text, quoted)
		}
		if bytes := appendQuoted([]byte("> "), []byte(text)); string(bytes) != string(quoted) {
			t.Errorf("%q is written as %s from a string, as %s from bytes", text, quoted, bytes)
		}
	}
}

func TestEnvelopesAllocateNothingWithRoom(t *testing.T) {
	buf, channel := make([]byte, 0, 4<<10), []byte("é\x00\u2028\xff")
	for _, content := range []string{`{"a":[1]}`, "no JSON \"at\" all\n"} {
		content := []byte(content)
		if n := allocations(func() { AppendEnvelope(buf, channel, content, "ann\"", "e-1") }); n != 0 {
			t.Errorf("AppendEnvelope of %q allocates %v times", content, n)
		}
	}
	answer := AppendOK(nil, []byte("1"))
	if n := allocations(func() { AppendReply(buf, answer); AppendGap(buf, channel, "e-1") }); n != 0 {
		t.Errorf("AppendReply and AppendGap allocate %v times", n)
	}
}

// FuzzEnvelope checks that an envelope is one object, and is read as what it was made of.
func FuzzEnvelope(f *testing.F) {
	for _, text := range hostile {
		f.Add([]byte(text), []byte(`{"a":[1]}`), text, "e-1")
		f.Add([]byte("news"), []byte(text), "", text)
	}
	f.Fuzz(func(t *testing.T, channel, content []byte, user, position string) {
		checkEnvelope(t, channel, content, user, position)
		if gap := decodeOne(t, AppendGap(nil, channel, position)); gap.Type != "gap" || *gap.Channel != asText(string(channel)) {
			t.Fatalf("the gap of %q is read as %+v", channel, gap)
		}
		if Valid(content) != (stdjson.Valid(content) && utf8.Valid(content)) && !bytes.Contains(content, []byte("[")) && !bytes.Contains(content, []byte("{")) {
			t.Fatalf("Valid(%q) is %t", content, Valid(content))
		}
	})
}
