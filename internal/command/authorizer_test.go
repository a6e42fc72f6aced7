package command

import (
	stdjson "encoding/json"
	"net/url"
	"reflect"
	"strings"
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

// Two upgrades ask the same exactly if all but the headers that differ each time is the same.
func TestConnectQuestionLeavesOutWhatDiffersEachTime(t *testing.T) {
	type upgrade struct {
		headers map[string][]string
		query   string
	}
	one := func(more ...string) upgrade {
		u := upgrade{map[string][]string{"Cookie": {"a=b"}, "Sec-Websocket-Key": {"x"}, "X-A": {"]"}}, "q=1"}
		for i := 0; i < len(more); i += 2 {
			u.headers[more[i]] = []string{more[i+1]}
		}
		return u
	}
	asks := func(u upgrade) string {
		query, _ := url.ParseQuery(u.query)
		body, err := AppendConnectBody(nil, u.headers, query)
		if err != nil {
			t.Fatal(err)
		}
		return string(AppendConnectQuestion(nil, body, u.query))
	}
	want := asks(one())
	if !strings.Contains(want, `"Cookie":["a=b"]`) || strings.Contains(want, `"x"`) {
		t.Errorf("the question is %s", want)
	}
	if got := asks(one("Sec-Websocket-Key", "y")); got != want {
		t.Errorf("with another nonce the question is %s, want %s", got, want)
	}
	if a, b := asks(one("Traceparent", "00-1", "Tracestate", "a=b")), asks(one("Traceparent", "00-2", "Tracestate", "c=d")); a != b {
		t.Errorf("with two traces the questions are %s and %s, want the same", a, b)
	}
	inQuery := func(query string) upgrade {
		u := one()
		u.query = query
		return u
	}
	different := map[string]upgrade{
		"a cookie":                   one("Cookie", "a=c"),
		"a header":                   one("X-B", "1"),
		"a query":                    inQuery("q=2"),
		"a trace in the query":       inQuery("q=1&Traceparent=1"),
		"another trace in the query": inQuery("q=1&Traceparent=2"),
		"a nonce in the query":       inQuery("q=1&Sec-Websocket-Key=1"),
		"another nonce in the query": inQuery("q=1&Sec-Websocket-Key=2"),
		"a query that is no UTF-8":   inQuery("q=%FF"),
		"another that is no UTF-8":   inQuery("q=%FE"),
		"one that has no form":       inQuery("q=1%"),
		"another that has no form":   inQuery("q=2%"),
		"no query":                   inQuery(""),
		"the end of headers":         one("X-A", `},"query":{`),
		"a header in a header":       one("X-A", `"Sec-Websocket-Key":["1"]`),
		"another header in a header": one("X-A", `"Sec-Websocket-Key":["2"]`),
		"an end in a trace":          one("Traceparent", `"],"Cookie":["x`),
		"another end in a trace":     one("Traceparent", `"],"Cookie":["y`),
	}
	seen := map[string]string{want: "the first"}
	for name, u := range different {
		if other, ok := seen[asks(u)]; ok {
			t.Errorf("%s and %s ask the same: %s", name, other, asks(u))
		}
		seen[asks(u)] = name
	}
}
