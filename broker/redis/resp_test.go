package redis

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRESPAnswersAreRead(t *testing.T) {
	r := newRESPReader(strings.NewReader("+OK\r\n:-12\r\n$2\r\nhi\r\n$-1\r\n*-1\r\n_\r\n=6\r\ntxt:hi\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n%1\r\n$1\r\na\r\n:7\r\n-ERR no\r\n"), 10)
	for i, want := range []respReply{{text: "OK"}, {num: -12}, {text: "hi"}, {}, {}, {}, {text: "txt:hi"}} {
		if _, got, err := r.next(); err != nil || got.text != want.text || got.num != want.num {
			t.Errorf("answer %d: %+v, %v, want %+v", i, got, err, want)
		}
	}
	if _, got, err := r.next(); err != nil || len(got.list) != 2 || got.list[0].list[0].num != 1 {
		t.Errorf("nested: %+v, %v", got, err)
	}
	if _, got, err := r.next(); err != nil || len(got.list) != 2 || got.list[0].text != "a" || got.list[1].num != 7 {
		t.Errorf("a map: %+v, %v", got, err)
	}
	if _, _, err := r.next(); err != respError("ERR no") {
		t.Errorf("error: %v", err)
	}
	if _, _, err := r.next(); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
}

func TestRESPOfSomethingElseIsRefused(t *testing.T) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "\r\n", "+OK\n", "$1x\r\n", "$9999999999\r\n", "*99999999\r\n", "%99999999\r\n", ":\r\n", "!1\r\n", "*1\r\n>3\r\n", strings.Repeat("*1\r\n", 20), "+" + strings.Repeat("x", respBuffer),
		">1\r\n$1\r\na\r\n", ">4\r\n", ">3\r\n*1\r\n", ">3\r\n$-1\r\n", ">3\r\n$0\r\n\r\n$1\r\na\r\n:1\r\n"} {
		if _, _, err := newRESPReader(strings.NewReader(s), 10).next(); !errors.Is(err, errRESP) {
			t.Errorf("%.20q: %v, want %v", s, err, errRESP)
		}
	}
}

// appendPush appends a push.
func appendPush(b []byte, words ...string) []byte {
	at := len(b)
	b = appendCommand(b, words[0], words[1:]...)
	b[at] = '>'
	return b
}

// Of a large content only enough is kept to show that it is too large, and the next message is read
// correctly.
func TestRESPMessagesAreCutToTheLimit(t *testing.T) {
	var in []byte
	for _, content := range []string{"short", strings.Repeat("x", 200_000), "next"} {
		in = appendPush(in, "message", "c", content)
	}
	r := newRESPReader(iotest.OneByteReader(bytes.NewReader(in)), 100)
	for _, want := range []string{"short", strings.Repeat("x", 100), "next"} {
		m, _, err := r.next()
		if err != nil || string(m.verb) != "message" || string(m.channel) != "c" || string(m.content) != want {
			t.Fatalf("message %q %q %.20q, %v, want %.20q", m.verb, m.channel, m.content, err, want)
		}
	}
}

func TestRESPMessagesDoNotAllocate(t *testing.T) {
	in := bytes.Repeat(append(appendPush(nil, "message", "channel", `"content"`), ":1\r\n"...), 2000)
	r := newRESPReader(bytes.NewReader(in), 1000)
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message or the answer to a publication, want none", n)
	}
}

// FuzzRESP checks that no input causes a panic or unbounded memory.
func FuzzRESP(f *testing.F) {
	f.Add([]byte(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"))
	f.Add([]byte(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n-NOPERM no\r\n+PONG\r\n"))
	f.Add([]byte("*2\r\n*3\r\n:0\r\n:5\r\n*2\r\n$0\r\n\r\n:7000\r\n$-1\r\n%1\r\n_\r\n=2\r\nab\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newRESPReader(bytes.NewReader(in), 64)
		for {
			m, answer, err := r.next()
			refusal, refused := errors.AsType[respError](err)
			if err != nil && !refused {
				break
			}
			if len(m.content) > 64 || len(m.channel) > maxReplyText {
				t.Fatal("kept more than the limit")
			}
			_, _ = parseSlots(answer, "h:1")
			_, _, _ = refusal.moved("h:1")
		}
	})
}
