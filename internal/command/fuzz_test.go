package command

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// addCases adds the cases of the files to the seeds of f.
func addCases(f *testing.F, names ...string) {
	for _, name := range names {
		for _, tc := range readCases(f, name) {
			f.Add([]byte(tc.input))
		}
	}
}

var whomSeeds = []string{
	`"channels":["a"," b "],"except":["x-1"]`, `"user":"ann","echo":false,"members":true`, `"users":["ann","ann"]`, `"channel":"a","uſer":"b"`, `"channels":[null]`,
}

// FuzzParse compares Parse with encoding/json and with goccy/go-json, and checks
// the other promises of the package.
func FuzzParse(f *testing.F) {
	addCases(f, "accepted.txt", "refused.txt")
	for _, members := range whomSeeds {
		f.Add([]byte(`{"command":"broadcast","args":{` + members + `}}`))
	}
	for _, members := range fromSeeds {
		f.Add([]byte(`{"command":"join","args":{"channel":"a",` + members + `}}`))
	}
	var used Parser // has seen every message so far
	f.Fuzz(func(t *testing.T, msg []byte) {
		compareParse(t, msg)

		var fresh Parser
		asSent := bytes.Clone(msg)
		c, err := fresh.Parse(msg)
		if !bytes.Equal(msg, asSent) {
			t.Fatalf("Parse(%q) changed the message to %q", asSent, msg)
		}
		if again, errAgain := used.Parse(msg); err != errAgain || !reflect.DeepEqual(again, c) {
			t.Fatalf("Parse(%q) by a used Parser: %s, by a fresh one: %s", msg, describe(again, errAgain), describe(c, err))
		}
		if !utf8.Valid(c.Name) || !utf8.Valid(c.Channel) {
			t.Fatalf("Parse(%q) decoded to invalid UTF-8: name %q, channel %q", msg, c.Name, c.Channel)
		}
		if c.ID != nil {
			checkReplies(t, c.ID)
		}
		if err == nil {
			checkAuthorizerBody(t, &c)
			checkFolded(t, &c, bytes.TrimPrefix(msg, []byte(bom)))
			checkFolded(t, &c, AppendAuthorizerBody(nil, &c))
		}
	})
}

// checkReplies fails t unless the answers to id are valid JSON with that id.
func checkReplies(t *testing.T, id []byte) {
	t.Helper()
	for _, reply := range [][]byte{AppendOK(nil, id), AppendError(nil, id, errSyntax)} {
		var m struct{ ID stdjson.RawMessage }
		if err := stdjson.Unmarshal(reply, &m); err != nil || !bytes.Equal(m.ID, id) {
			t.Fatalf("the reply to id %q is %q: id %q, error %v", id, reply, m.ID, err)
		}
	}
}

// checkAuthorizerBody fails t unless the authorizer's body for c is valid JSON with
// the command, the args unchanged, and nothing else.
func checkAuthorizerBody(t *testing.T, c *Command) {
	t.Helper()
	body := AppendAuthorizerBody(nil, c)
	var m map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(body, &m); err != nil {
		t.Fatalf("the authorizer's body %q: %v", body, err)
	}
	if len(m) != 2 || string(m["command"]) != `"`+c.Kind.String()+`"` || !bytes.Equal(m["args"], c.Args) {
		t.Fatalf("the authorizer's body is %q for %v with args %q", body, c.Kind, c.Args)
	}
}

// checkFolded fails t unless a decoder that ignores case, and uses the last of several
// members of a name, reads the command c from text.
func checkFolded(t *testing.T, c *Command, text []byte) {
	t.Helper()
	var m struct {
		Command string
		Args    struct {
			Channel string
			Content stdjson.RawMessage
		}
	}
	if err := stdjson.Unmarshal(text, &m); err != nil {
		t.Fatalf("%q was accepted, but encoding/json refuses it: %v", text, err)
	}
	if m.Command != c.Kind.String() || strings.TrimSpace(m.Args.Channel) != string(c.Channel) {
		t.Fatalf("%q is %s to a channel %q, to a decoder that ignores case %s to %q", text, c.Kind, c.Channel, m.Command, m.Args.Channel)
	}
	if c.Kind == Broadcast && m.Args.Content != nil && !bytes.Equal(m.Args.Content, c.Content) {
		t.Fatalf("%q has the content %s, to a decoder that ignores case %s", text, c.Content, m.Args.Content)
	}
}

// FuzzPublication compares ParsePublication with encoding/json and goccy/go-json.
func FuzzPublication(f *testing.F) {
	addCases(f, "publication_accepted.txt", "publication_refused.txt")
	for _, members := range whomSeeds {
		f.Add([]byte(`{` + members + `}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		comparePublication(t, body)
		p, err := ParsePublication(body)
		if !utf8.Valid(p.Channel) {
			t.Fatalf("ParsePublication(%q): the channel %q is invalid UTF-8", body, p.Channel)
		}
		if err == nil {
			checkFoldedPublication(t, p, bytes.TrimPrefix(body, []byte(bom)))
		}
	})
}

// checkFoldedPublication is checkFolded for a body.
func checkFoldedPublication(t *testing.T, p Publication, body []byte) {
	t.Helper()
	var m struct {
		Channel string
		Content stdjson.RawMessage
		Args    struct{ Content stdjson.RawMessage }
	}
	if err := stdjson.Unmarshal(body, &m); err != nil {
		t.Fatalf("%q was accepted, but encoding/json refuses it: %v", body, err)
	}
	if m.Content == nil {
		m.Content = m.Args.Content
	}
	if strings.TrimSpace(m.Channel) != string(p.Channel) || !bytes.Equal(content(m.Content), p.Content) {
		t.Fatalf("%q is %q to %q, to a decoder that ignores case %q to %q", body, p.Content, p.Channel, m.Content, m.Channel)
	}
}

// FuzzConnectBody checks that encoding/json reads back the headers and the query
// that goccy/go-json wrote. Strangers choose these strings.
func FuzzConnectBody(f *testing.F) {
	f.Add("Cookie", "a=b; c=\"d\"", "token", "x\x00\u2028<&>")
	f.Add("X-Name", "\xff\xfe", "\xed\xa0\x80", "")
	f.Add("", "\\u0041", "\"", "\U0010ffff\n")
	f.Fuzz(func(t *testing.T, header, headerValue, key, value string) {
		compareConnectBody(t,
			map[string][]string{header: {headerValue}, "Host": {"a", value}},
			map[string][]string{key: {value, value}, "b": {}})
	})
}
