package command

import (
	stdjson "encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

func TestAuthorizerIsAskedWithArgsAsSentAndWithoutID(t *testing.T) {
	const args = `{ "channel" : " n\u0065ws ", "token":1.10, "id":5, "token":12345678901234567890 }`
	for _, name := range []string{"join", "leave", "broadcast"} {
		var p Parser
		c, err := p.Parse([]byte(`{"id":"secret","command":"` + name + `","args":` + args + `,"more":true}`))
		if err != nil {
			t.Fatalf("%s: %s", name, err.Message)
		}
		want := `> {"command":"` + name + `","args":` + args + `}`
		if got := string(AppendAuthorizerBody([]byte("> "), &c)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestAuthorizerBodyIsJSONWhateverTheCommand(t *testing.T) {
	for _, tc := range []struct {
		c    Command
		want string
	}{
		{Command{Kind: Join}, `{"command":"join","args":{}}`},
		{Command{}, `{"command":"","args":{}}`},
		{Command{Name: []byte("a\"b\n")}, `{"command":"a\"b\n","args":{}}`},
	} {
		if got := string(AppendAuthorizerBody(nil, &tc.c)); got != tc.want {
			t.Errorf("AppendAuthorizerBody(%+v) = %s, want %s", tc.c, got, tc.want)
		}
	}
}

func TestConnectBodySortsItsKeys(t *testing.T) {
	headers := map[string][]string{"Origin": {"https://a.example"}, "Cookie": {"a=1", "b=2"}, "Host": {"x"}}
	query := map[string][]string{"token": {"t"}, "a": {""}, "Z": {"1"}}
	const want = `> {"command":"connect","args":{` +
		`"headers":{"Cookie":["a=1","b=2"],"Host":["x"],"Origin":["https://a.example"]},` +
		`"query":{"Z":["1"],"a":[""],"token":["t"]}}}`
	got, err := AppendConnectBody([]byte("> "), headers, query)
	if err != nil || string(got) != want {
		t.Errorf("AppendConnectBody:\n got %s, %v\nwant %s", got, err, want)
	}
}

func TestConnectBodyOfNothingHasEmptyObjects(t *testing.T) {
	got, err := AppendConnectBody(nil, nil, nil)
	const want = `{"command":"connect","args":{"headers":{},"query":{}}}`
	if err != nil || string(got) != want {
		t.Errorf("AppendConnectBody(nil, nil, nil) = %s, %v, want %s", got, err, want)
	}
}

func TestConnectBodyHasListsOnly(t *testing.T) {
	got, err := AppendConnectBody(nil, map[string][]string{"A": nil, "B": {}}, map[string][]string{"c": nil})
	const want = `{"command":"connect","args":{"headers":{"A":[],"B":[]},"query":{"c":[]}}}`
	if err != nil || string(got) != want {
		t.Errorf("AppendConnectBody with nil values = %s, %v, want %s", got, err, want)
	}
}

func TestConnectBodyAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range []string{"", "a", "\"\\/", "\x00\x1f\x7f", "<script>&", "\u2028\u2029", "é😀",
		"\xff", "a\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80"} {
		compareConnectBody(t, map[string][]string{s: {s, "x", s}}, map[string][]string{"k" + s: {s}, "k": nil})
	}
}

// compareConnectBody fails t unless encoding/json decodes our body to the same
// values as its own.
func compareConnectBody(t *testing.T, headers, query map[string][]string) {
	t.Helper()
	type args map[string]map[string][]string
	type body struct {
		Command string `json:"command"`
		Args    args   `json:"args"`
	}
	ours, err := AppendConnectBody(nil, headers, query)
	if err != nil {
		t.Fatalf("AppendConnectBody(%q, %q): %v", headers, query, err)
	}
	for _, m := range []map[string][]string{headers, query} {
		for k, v := range m {
			if v == nil {
				m[k] = []string{} // our body has no null
			}
		}
	}
	theirs, err := stdjson.Marshal(body{"connect", args{"headers": headers, "query": query}})
	if err != nil {
		t.Fatal(err)
	}
	var got, want body
	if err := stdjson.Unmarshal(ours, &got); err != nil || !utf8.Valid(ours) {
		t.Fatalf("AppendConnectBody(%q, %q) = %q: %v", headers, query, ours, err)
	}
	if err := stdjson.Unmarshal(theirs, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("AppendConnectBody(%q, %q)\n got %q\nwant %q", headers, query, ours, theirs)
	}
}
