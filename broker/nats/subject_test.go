package nats

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"

	"wsify/broker"
)

// unusualChannels returns names that are not valid subjects, or look like special ones.
func unusualChannels() []string {
	return []string{
		"with space", "tab\t", "line\r\nPUB x 1\r\n", "\x00", "\x7f", "*", "a.*", ">", "a.>", "a*b", "100%", "%41", "%", "%%2E",
		".", "..", "a.", ".a", "a..b", "a...b", "a....b.", "$SYS.REQ.SERVER.PING", "$JS.API.INFO", "_INBOX.x", "_", "$",
		"日本語", "é", "\u0085", "\u2028", "😀.😀", "'\"\\", "\"", "-ERR 'x'", "+OK", "a" + strings.Repeat(".a", 300),
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct{ channel, subject string }{
		{"news", "news"},
		{"chat.room.1", "chat.room.1"},
		{"user:42", "user:42"},
		{"a_b$c-d/e", "a_b$c-d/e"},
		{"日本", "日本"},
		{"a b", "a%20b"},
		{"100%", "100%25"},
		{"a.*", "a.%2A"},
		{">", "%3E"},
		{".", "%2E"},
		{"..", "%2E%2E"},
		{"a.", "a%2E"},
		{".a", "%2Ea"},
		{"a..b", "a.%2Eb"},
		{"$SYS.x", "%24SYS.x"},
		{"_INBOX.x", "%5FINBOX.x"},
		{"a._b", "a._b"},
	} {
		got, err := subjectOf(c.channel)
		if got != c.subject || err != nil {
			t.Errorf("subjectOf(%q) = %q, %v, want %q", c.channel, got, err, c.subject)
		}
	}
	if s, err := subjectOf(""); err == nil {
		t.Errorf("subjectOf of no name = %q, want an error", s)
	}
}

func TestPrefixesAreChecked(t *testing.T) {
	for _, good := range []string{"", "app.", "app", "team.app.", "app:", "é."} {
		if err := checkPrefix(good); err != nil {
			t.Errorf("prefix %q: %v", good, err)
		}
	}
	for _, bad := range []string{"$SYS.", "_INBOX.", ".app", "a..", "a b.", "*.", ">.", "a%.", "\n", strings.Repeat("x", maxSubject)} {
		if _, err := newEngine(broker.Config{Prefix: bad}); err == nil {
			t.Errorf("prefix %.40q is taken", bad)
		}
	}
}

func FuzzSubject(f *testing.F) {
	for _, name := range unusualChannels() {
		f.Add(name, "news")
	}
	f.Add("a.%2Eb", "a..b")
	f.Fuzz(func(t *testing.T, channel, other string) {
		subject, err := subjectOf(channel)
		if err != nil {
			if channel != "" && len(channel) <= maxChannel("") {
				t.Fatalf("subjectOf(%q): %v", channel, err)
			}
			return
		}
		if back := string(channelOf(subject)); back != channel {
			t.Fatalf("%q became %q and then %q", channel, subject, back)
		}
		if len(subject) > maxSubject || strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) ||
			!server.IsValidLiteralSubject(subject) || !server.IsValidSubject(subject) || subject[0] == '$' || subject[0] == '_' {
			t.Fatalf("subjectOf(%q) = %q, which is no literal subject of ours", channel, subject)
		}
		if utf8.ValidString(channel) != utf8.ValidString(subject) {
			t.Fatalf("subjectOf(%q) = %q: the one is UTF-8 and the other is not", channel, subject)
		}
		if s, err := subjectOf(other); err == nil && other != channel && s == subject {
			t.Fatalf("%q and %q have one subject, %q", channel, other, subject)
		}
		if plain := strings.Trim(channel, "abcdefghijklmnopqrstuvwxyz0123456789:-/") == ""; plain && subject != channel {
			t.Fatalf("subjectOf(%q) = %q, which need not be", channel, subject)
		}
	})
}
