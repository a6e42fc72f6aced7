package test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/internal/testtool"
)

// between counts the bytes of connections to a server, in both directions.
type between struct {
	t     *testing.T
	addr  string
	bytes atomic.Int64
}

// countTo puts a listener before the server at addr, until the test ends.
func countTo(t *testing.T, addr string) *between {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	b := &between{t: t, addr: in.Addr().String()}
	go func() {
		for {
			client, err := in.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				return
			}
			go b.copy(server, client)
			go b.copy(client, server)
		}
	}()
	return b
}

func (b *between) copy(to, from net.Conn) {
	defer to.Close()
	_, _ = io.Copy(to, io.TeeReader(from, b))
}

// Write counts p.
func (b *between) Write(p []byte) (int, error) {
	b.bytes.Add(int64(len(p)))
	return len(p), nil
}

func (b *between) ws() string { return "ws://" + b.addr + "/ws" }

// check checks that messages of some 100 KB were sent in a few KB.
func (b *between) check() {
	b.t.Helper()
	if n := b.bytes.Load(); n == 0 || n > 10_000 {
		b.t.Errorf("%d bytes were sent, want some thousand", n)
	}
}

// dialPython returns a client on Python's websockets, in a separate process.
func dialPython(t *testing.T, url string) *client {
	t.Helper()
	endToEnd(t)
	python := testtool.NeedPython(t, "websockets", "python3-websockets")
	p := start(t, scratch, nil, python, root+"/test/testdata/client.py", url)
	return &client{t: t, name: "Python's websockets", events: p.out, send: func(text string) {
		if _, err := io.WriteString(p.in, text+"\n"); err != nil {
			t.Errorf("send %s: %v", text, err)
		}
	}}
}

func TestClientsThatOfferCompressionGetIt(t *testing.T) {
	for name, dial := range map[string]func(*testing.T, string) *client{"npm": dialNPM, "Python": dialPython} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "-compression", "on")
			b := countTo(t, s.addr)
			c := dial(t, b.ws())
			c.expect("open permessage-deflate")
			c.join("news")
			long := `"` + strings.Repeat("from a client ", 3000) + `"`
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":`+long+`}}`, "message "+long)
			many := `["` + strings.Repeat(`a list","of texts","that repeats","`, 1000) + `"]` // over many windows
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":`+many+`}}`, "message "+many)
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":"short"}}`, `message "short"`)
			b.check()
		})
	}
}
