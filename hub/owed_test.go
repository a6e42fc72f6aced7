package hub

import (
	"testing"

	"wsify/internal/buffer"
)

// owedText returns what a member is owed as text, and releases it.
func owedText(l *Local, conn uint32, set *Memberships, name string) string {
	b := l.Owed(conn, set, []byte(name))
	if b == nil {
		return ""
	}
	defer b.Release()
	return string(b.Bytes())
}

func TestAMemberThatLeavesIsOwedWhatWasPublishedBefore(t *testing.T) {
	h := New(Config{Loops: 1, Sink: quiet{}, Watcher: quiet{}})
	l := h.Local(0)
	var sets [3]Memberships
	for conn := range sets {
		l.Join(uint32(conn), &sets[conn], []byte("news"))
	}
	publish := func(text string) {
		t.Helper()
		b := buffer.New(len(text))
		b.Append([]byte(text), 1)
		defer b.Release()
		h.publishRaw([]byte("news"), b)
	}
	if got := owedText(l, 1, &sets[1], "news"); got != "" {
		t.Errorf("owed before any publication: %q", got)
	}
	publish("a")
	publish("b")
	if got := owedText(l, 1, &sets[1], "news"); got != "ab" {
		t.Errorf("owed before delivery: %q, want %q", got, "ab")
	}
	publish("c") // must not change the slice: the next join copies
	l.Take()
	if s, ok := l.Next(1); !ok || string(s.Buffer.Bytes()) != "abc" || s.Members[0].Conn != 0 {
		t.Fatalf("first slice = %+v, %v", s, ok)
	}
	publish("d")
	if got := owedText(l, 0, &sets[0], "news"); got != "d" {
		t.Errorf("owed to a member that was served: %q, want %q", got, "d")
	}
	if got := owedText(l, 1, &sets[1], "news"); got != "abcd" {
		t.Errorf("owed to a member not served yet: %q, want %q", got, "abcd")
	}
	if got := owedText(l, 1, &sets[1], "other"); got != "" {
		t.Errorf("owed in a channel never joined: %q", got)
	}
}
