package wire

import (
	"bufio"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestASubprotocolIsOfferedExactly(t *testing.T) {
	offer := func(values ...string) (lines string) {
		for _, value := range values {
			lines += "Sec-WebSocket-Protocol: " + value + "\r\n"
		}
		return lines
	}
	for _, tt := range []struct {
		rule, lines string
		want        bool
	}{
		{"no header", "", false},
		{"alone", offer("wsify.v1"), true},
		{"the name of the header in any case", strings.ToLower(offer("wsify.v1")), true},
		{"among others", offer("chat, wsify.v1,superchat"), true},
		{"white space around it", offer(" \tchat ,\t wsify.v1 \t"), true},
		{"in a second line", offer("chat", "wsify.v1"), true},
		{"twice", offer("wsify.v1, wsify.v1"), true},
		{"empty elements", offer(", ,wsify.v1,,"), true},
		{"an empty line, then it", offer("", "wsify.v1"), true},
		{"another case", offer("WSIFY.v1, wsify.V1"), false},
		{"part of another name", offer("wsify.v12, xwsify.v1, wsify.v1.x, wsify.v"), false},
		{"with a parameter", offer("wsify.v1;q=1"), false},
		{"in quotes", offer(`"wsify.v1"`), false},
		{"in a quoted list", offer(`"a, wsify.v1, b"`), false},
		{"beside two words", offer("wsify.v1, a b"), false},
		{"beside bytes that no token has", offer("wsify.v1, caf\xe9"), false},
		{"a bad line before a good one", offer("a b", "wsify.v1"), true},
		{"only others", offer("chat", "superchat"), false},
	} {
		r, err := ParseRequest([]byte(get(hostLine, upLine, connLine, tt.lines, keyLine, versionLine)))
		if err != nil {
			t.Fatalf("%s: %v", tt.rule, err)
		}
		if got := r.Offers("wsify.v1"); got != tt.want {
			t.Errorf("%s: Offers is %t", tt.rule, got)
		}
	}
}

func TestTheAnswerNamesTheSubprotocol(t *testing.T) {
	answer, err := upgrade(t, get(hostLine, upLine, connLine, keyLine, versionLine, "Sec-WebSocket-Protocol: a, b\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(AppendProtocol([]byte(answer), "b")))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header["Sec-Websocket-Protocol"]; res.StatusCode != 101 || len(got) != 1 || got[0] != "b" || res.Header.Get("Sec-WebSocket-Accept") != rfcAccept {
		t.Errorf("the answer is %d with %q", res.StatusCode, res.Header)
	}
}

// FuzzProtocols compares the list of offers with a plain reading of its grammar.
func FuzzProtocols(f *testing.F) {
	for _, seed := range []string{"wsify.v1", "a, wsify.v1", `"a,wsify.v1"`, "wsify.v1 b", ",\t wsify.v1\t,", "wsify.v1\xff"} {
		f.Add([]byte(seed))
	}
	tokens := regexp.MustCompile("^(?:[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*)?(?:,|$))*$")
	one := regexp.MustCompile(`(?:^|,)[ \t]*wsify\.v1[ \t]*(?:,|$)`)
	f.Fuzz(func(t *testing.T, value []byte) {
		if got, want := lists(value, "wsify.v1"), tokens.Match(value) && one.Match(value); got != want {
			t.Fatalf("lists(%q) = %t, want %t", value, got, want)
		}
	})
}
