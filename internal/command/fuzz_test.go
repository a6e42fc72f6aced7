package command

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// addCases makes the cases of the files the seeds of f.
func addCases(f *testing.F, names ...string) {
	for _, name := range names {
		for _, tc := range readCases(f, name) {
			f.Add([]byte(tc.input))
		}
	}
}

// FuzzParse compares Parse with encoding/json and with goccy/go-json, and tries
// what else the package promises.
func FuzzParse(f *testing.F) {
	addCases(f, "accepted.txt", "refused.txt")
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
			t.Fatalf("Parse(%q) decoded to what is no UTF-8: name %q, channel %q", msg, c.Name, c.Channel)
		}
		if c.ID != nil {
			checkReplies(t, c.ID)
		}
		if err == nil {
			checkAuthorizerBody(t, &c)
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

// checkAuthorizerBody fails t unless the question about c is valid JSON that has
// the command, the args as they are, and nothing else.
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

// FuzzPublication compares ParsePublication with encoding/json and goccy/go-json.
func FuzzPublication(f *testing.F) {
	addCases(f, "publication_accepted.txt", "publication_refused.txt")
	f.Fuzz(func(t *testing.T, body []byte) {
		comparePublication(t, body)
		if p, _ := ParsePublication(body); !utf8.Valid(p.Channel) {
			t.Fatalf("ParsePublication(%q): the channel %q is no UTF-8", body, p.Channel)
		}
	})
}

// FuzzConnectBody compares what goccy/go-json makes of headers and query with
// what encoding/json reads from it. The strings are what strangers sent.
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
