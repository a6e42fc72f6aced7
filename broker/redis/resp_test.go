package redis

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRESPRepliesAreRead(t *testing.T) {
	r := newRESPReader(strings.NewReader("+OK\r\n:-12\r\n$2\r\nhi\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n-ERR no\r\n"), 10)
	for i, want := range []respReply{{text: "OK"}, {num: -12}, {text: "hi"}, {}, {}} {
		if got, err := r.reply(); err != nil || got.text != want.text || got.num != want.num {
			t.Errorf("reply %d: %+v, %v, want %+v", i, got, err, want)
		}
	}
	if got, err := r.reply(); err != nil || len(got.list) != 2 || got.list[0].list[0].num != 1 {
		t.Errorf("nested: %+v, %v", got, err)
	}
	if _, err := r.reply(); err != respError("ERR no") {
		t.Errorf("error: %v", err)
	}
	if _, err := r.reply(); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
}

func TestRESPOfSomethingElseIsRefused(t *testing.T) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "\r\n", "+OK\n", "$1x\r\n", "$9999999999\r\n", "*99999999\r\n", ":\r\n", "%1\r\n", strings.Repeat("*1\r\n", 20), "+" + strings.Repeat("x", respBuffer)} {
		if _, err := newRESPReader(strings.NewReader(s), 10).reply(); !errors.Is(err, errRESP) {
			t.Errorf("reply of %.20q: %v, want %v", s, err, errRESP)
		}
	}
	for _, s := range []string{"*1\r\n$1\r\na\r\n", "*4\r\n", "*2\r\n*1\r\n", "*3\r\n$-2\r\n", ":1\r\n"} {
		if _, err := newRESPReader(strings.NewReader(s), 10).message(); !errors.Is(err, errRESP) {
			t.Errorf("message of %q: %v, want %v", s, err, errRESP)
		}
	}
}

// Of a long content as much is kept as says that it is too long, and the next message
// is where it should be.
func TestRESPMessagesAreCutToTheLimit(t *testing.T) {
	var in []byte
	for _, content := range []string{"short", strings.Repeat("x", 200_000), "next"} {
		in = appendCommand(in, "message", "c", content)
	}
	r := newRESPReader(iotest.OneByteReader(bytes.NewReader(in)), 100)
	for _, want := range []string{"short", strings.Repeat("x", 100), "next"} {
		m, err := r.message()
		if err != nil || string(m.verb) != "message" || string(m.channel) != "c" || string(m.content) != want {
			t.Fatalf("message %q %q %.20q, %v, want %.20q", m.verb, m.channel, m.content, err, want)
		}
	}
}

func TestRESPMessagesDoNotAllocate(t *testing.T) {
	in := bytes.Repeat(appendCommand(nil, "message", "channel", `"content"`), 2000)
	r := newRESPReader(bytes.NewReader(in), 1000)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.message(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message, want none", n)
	}
}

// FuzzRESP: no panic and no endless memory, whatever a server sends.
func FuzzRESP(f *testing.F) {
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"))
	f.Add([]byte("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n-NOPERM no\r\n+PONG\r\n"))
	f.Add([]byte("*2\r\n*3\r\n:0\r\n:5\r\n*2\r\n$0\r\n\r\n:7000\r\n$-1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newRESPReader(bytes.NewReader(in), 64)
		for {
			m, err := r.message()
			if _, refused := errors.AsType[respError](err); err != nil && !refused {
				break
			}
			if len(m.content) > 64 || len(m.channel) > maxReplyText {
				t.Fatal("kept more than the limit")
			}
		}
		r = newRESPReader(bytes.NewReader(in), 64)
		for {
			answer, err := r.reply()
			refusal, refused := errors.AsType[respError](err)
			if err != nil && !refused {
				break
			}
			_, _ = parseSlots(answer, "h:1")
			_, _, _ = refusal.moved("h:1")
		}
	})
}
