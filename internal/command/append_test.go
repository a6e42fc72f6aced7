package command

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAJoinIsReadAsWritten(t *testing.T) {
	for _, channel := range []string{"news", `a"b\c`, "é\n<&>", "a\u2028b"} {
		var p Parser
		msg := AppendJoin(nil, channel)
		if c, bad := p.Parse(msg); bad != nil || c.Kind != Join || string(c.Channel) != channel {
			t.Errorf("%s is read as %v of %q, %v", msg, c.Kind, c.Channel, bad)
		}
	}
}

func TestContentCannotForgeMembers(t *testing.T) {
	for content, want := range map[string]string{
		`{"a":1}`:              `"channel":"c","content":{"a":1}`,
		"[1,\r\n2]":            "\"channel\":\"c\",\"content\":[1,\r\n2]",
		`1,"channel":"x"`:      `"channel":"c","content":"1,\"channel\":\"x\""`,
		"":                     `"channel":"c","content":""`,
		"caf\xe9":              `"channel":"c","content":"caf` + `\ufffd"`,
		"two\nlines":           `"channel":"c","content":"two\nlines"`,
		"18446744073709551616": `"channel":"c","content":18446744073709551616`,
	} {
		if got := string(AppendMessage(nil, []byte("c"), []byte(content))); got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
	}
	if got := string(AppendMessage(nil, nil, []byte("1"))); got != `"content":1` {
		t.Errorf("without a channel: %s", got)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("c"), []byte(`{"a":[1,2]}`))
	f.Add([]byte("\x00\""), []byte(`1,"channel":2`))
	f.Add([]byte("c"), []byte("\xff\r\n"))
	f.Fuzz(func(t *testing.T, channel, content []byte) {
		got := AppendMessage([]byte("{"), channel, content)
		var m map[string]json.RawMessage
		if err := json.Unmarshal(append(got, '}'), &m); err != nil {
			t.Fatalf("%q in %q: %v", content, channel, err)
		}
		var name, text string
		if _ = json.Unmarshal(m["channel"], &name); name != strings.ToValidUTF8(string(channel), "\ufffd") && !strings.Contains(name, "\ufffd") {
			t.Errorf("the channel %q became %q", channel, name)
		}
		if Valid(content) {
			if strings.TrimSpace(string(m["content"])) != strings.Trim(string(content), " \t\r\n") {
				t.Errorf("%q became %q", content, m["content"])
			}
		} else if json.Unmarshal(m["content"], &text) != nil {
			t.Errorf("%q became %q, which is no string", content, m["content"])
		}
	})
}
