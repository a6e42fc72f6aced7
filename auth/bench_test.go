package auth

import (
	"net"
	"testing"
)

// newEcho answers every read with text and allocates nothing for it, so that a benchmark counts
// only the client's allocations. A question must fit into one read.
func newEcho(t testing.TB, text string) *peer {
	answer := []byte(text)
	return newPeer(t, func(l *line) {
		buffer := make([]byte, 64<<10)
		for {
			if _, err := l.TCPConn.Read(buffer); err != nil {
				return
			}
			if _, err := l.TCPConn.Write(answer); err != nil {
				return
			}
		}
	})
}

func question() *Call {
	return &Call{
		Body:       []byte(`{"command":"join","args":{"channel":"news"}}`),
		Connection: "c-17",
		RemoteAddr: "192.0.2.1:4711",
		Query:      "user=ann&token=0123456789abcdef",
	}
}

func BenchmarkAsk(b *testing.B) {
	answers := map[string]string{
		"allow": yes,
		"deny":  "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
	}
	for _, name := range []string{"allow", "deny"} {
		b.Run(name, func(b *testing.B) {
			c, call := newClient(b, Config{URL: newEcho(b, answers[name]).URL}), question()
			b.ReportAllocs()
			for b.Loop() {
				if d, cause := c.Ask(call); d == Down {
					b.Fatal(cause)
				}
			}
		})
	}
}

func BenchmarkAskParallel(b *testing.B) {
	c := newClient(b, Config{URL: newEcho(b, yes).URL})
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		call := question()
		for pb.Next() {
			if d, cause := c.Ask(call); d != Allow {
				b.Error(cause)
				return
			}
		}
	})
}

// BenchmarkAskTLS counts the server's allocations too.
func BenchmarkAskTLS(b *testing.B) {
	hook := newTLSWebhook(b)
	c, call := newClient(b, Config{URL: hook.URL, TLSConfig: trusting(hook)}), question()
	b.ReportAllocs()
	for b.Loop() {
		if d, cause := c.Ask(call); d != Allow {
			b.Fatal(cause)
		}
	}
}

// BenchmarkStale measures the check of an idle connection before its use.
func BenchmarkStale(b *testing.B) {
	c := newClient(b, Config{URL: newPeer(b, (*line).hang).URL})
	conn, err := c.dialer.pooled("", patience)
	if err != nil {
		b.Fatal(err)
	}
	defer func(conn net.Conn) { _ = conn.Close() }(conn)
	l := conn.(*link)
	b.ReportAllocs()
	for b.Loop() {
		if l.stale() {
			b.Fatal("stale")
		}
	}
}

// BenchmarkWorkers submits calls that do nothing.
func BenchmarkWorkers(b *testing.B) {
	room := make(chan struct{}, 1)
	w := NewWorkers(2, 1024, func() {
		select {
		case room <- struct{}{}:
		default:
		}
	})
	fn := func() {}
	b.ReportAllocs()
	for b.Loop() {
		for !w.Submit(fn) {
			<-room
		}
	}
	w.Stop()
}
