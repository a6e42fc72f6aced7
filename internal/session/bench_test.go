package session

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"wsify/internal/wire"
)

// BenchmarkFanOut publishes 128 bytes to real sockets on one loop. It measures the server alone:
// from the publication until the kernel has every delivery. The timer is stopped while the
// sockets are read. Some members get envelopes: the typed ones.
func BenchmarkFanOut(b *testing.B) {
	content := `"` + strings.Repeat("x", 126) + `"`
	for _, tc := range []struct{ members, typed int }{{1, 0}, {100, 0}, {5000, 0}, {5000, 2500}} {
		name := fmt.Sprint(tc.members)
		if tc.typed > 0 {
			name = fmt.Sprintf("%d/typed=%d", tc.members, tc.typed)
		}
		b.Run(name, func(b *testing.B) {
			srv := start(b, Config{Loops: 1, WriteQueueSize: 64 << 20})
			fanOut(b, srv, tc.members, content, func(i int) *exchange {
				if i < tc.typed {
					return newExchange(connectTyped(b, srv, "/ws", "c"), "", frameSize(`{"type":"message","channel":"c","content":`+content+`}`))
				}
				p := connect(b, srv, "/ws")
				p.join("c")
				return newExchange(p, "", frameSize(content))
			})
		})
	}
}

// BenchmarkFanOut1KiB is BenchmarkFanOut with 1 KiB of JSON, plain and compressed.
func BenchmarkFanOut1KiB(b *testing.B) {
	const n = 5000
	content := `[` + deflateTexts(1022)["12.1 a list"] + `]`
	content = content[:len(content)-2] + "0]"
	cfg := Config{Loops: 1, WriteQueueSize: 64 << 20, Compression: true, CompressionMinSize: 512, CompressionLevel: 1}
	b.Run("plain", func(b *testing.B) {
		srv := start(b, cfg)
		fanOut(b, srv, n, content, func(int) *exchange {
			p := connect(b, srv, "/ws")
			p.join("c")
			return newExchange(p, "", frameSize(content))
		})
	})
	b.Run("compressed", func(b *testing.B) {
		srv, size := start(b, cfg), 0
		srv.deflater.Deflate(wire.AppendFrame(nil, wire.OpText, []byte(content)), false, func(frame []byte) { size = len(frame) })
		fanOut(b, srv, n, content, func(int) *exchange {
			p := connectDeflated(b, srv, "/ws")
			p.join("c")
			return newExchange(p, "", size)
		})
	})
}

// fanOut publishes content to n members of the channel c.
func fanOut(b *testing.B, srv *Server, n int, content string, member func(i int) *exchange) {
	members := make([]*exchange, n)
	for i := range members {
		members[i] = member(i)
	}
	channel, body := []byte("c"), []byte(content)
	sent := srv.Stats().Sent
	undelivered := 0
	drain := func() {
		for _, m := range members {
			_ = m.p.SetReadDeadline(time.Now().Add(patience))
			for range undelivered {
				if err := m.read(); err != nil {
					b.Fatal(err)
				}
			}
		}
		undelivered = 0
	}
	b.ReportAllocs()
	for b.Loop() {
		if undelivered == 50 {
			b.StopTimer()
			drain()
			b.StartTimer()
		}
		if _, _, err := srv.broker.Publish(nil, channel, body, nil); err != nil {
			b.Fatal(err)
		}
		undelivered++
		for sent += uint64(n); srv.sent() < sent; {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
	drain()
}

// sent returns Stats().Sent without an allocation.
func (srv *Server) sent() (n uint64) {
	for _, l := range srv.loops {
		n += l.counts.sent.Load()
	}
	return n
}

// BenchmarkRoundTrip measures a broadcast to the sender's own channel until it is
// received, including the client's time.
func BenchmarkRoundTrip(b *testing.B) {
	srv := start(b, Config{})
	p := connect(b, srv, "/ws")
	p.join("c")
	x := newExchange(p, message(`{"command":"broadcast","args":{"channel":"c","content":{"text":"hello"}}}`), frameSize(`{"text":"hello"}`))
	_ = p.SetDeadline(time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if err := x.do(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommand measures parsing and dispatch: joins of a channel of which the
// connection is already a member, a hundred in one write.
func BenchmarkCommand(b *testing.B) {
	srv := start(b, Config{})
	p := connect(b, srv, "/ws")
	p.join("c")
	const many = 100
	x := newExchange(p, strings.Repeat(message(`{"command":"join","args":{"channel":"c"}}`), many)+masked(0x80|opPing, "end"), frameSize("end"))
	_ = p.SetDeadline(time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if err := x.do(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/command")
}

// BenchmarkHandshake connects, upgrades and closes, including the client's time.
func BenchmarkHandshake(b *testing.B) {
	srv := start(b, Config{})
	head := upgradeHead("/ws")
	b.ReportAllocs()
	for b.Loop() {
		p := dial(b, srv)
		p.write(head)
		p.expectUpgrade()
		p.reset()
	}
}

// BenchmarkPublish measures a POST /broadcast on a kept connection to a channel with one
// member, including the client's time.
func BenchmarkPublish(b *testing.B) {
	srv := start(b, Config{})
	member := connect(b, srv, "/ws")
	member.join("c")
	heard := newExchange(member, "", frameSize(`{"text":"hello"}`))
	_ = member.SetDeadline(time.Now().Add(time.Hour))
	p := dial(b, srv)
	request := postRequest("/broadcast", `{"channel":"c","content":{"text":"hello"}}`)
	b.ReportAllocs()
	for b.Loop() {
		p.write(request)
		if res := p.response(); res.status != 201 {
			b.Fatal(res)
		}
		if err := heard.read(); err != nil {
			b.Fatal(err)
		}
	}
}
