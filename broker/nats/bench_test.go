package nats

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
	"wsify/internal/testtool"
)

const benchChannels = 100_000

func benchNames() []string {
	names := make([]string, benchChannels)
	for i := range names {
		names[i] = fmt.Sprintf("channel.%d", i)
	}
	return names
}

// BenchmarkSubscriptions subscribes a link to 100,000 channels. The server is in the same process:
// its share is measured separately, with a plain connection that sends the same, and subtracted.
func BenchmarkSubscriptions(b *testing.B) {
	names := benchNames()
	server := serverCost(b, names)
	for b.Loop() {
		s := natstest.Start(b, nil)
		e := &engine{dsn: mustDSN(b, s.URL), log: discard, largest: 1}
		before := testtool.Heap()
		l, _, err := e.Open(b.Context(), brokertest.Nowhere{})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for i := 0; i < len(names); i += 500 {
			ctx, cancel := withTimeout(b)
			if err := l.Subscribe(ctx, names[i:i+500]); err != nil {
				b.Fatal(err)
			}
			cancel()
		}
		b.ReportMetric(float64(len(names))/time.Since(began).Seconds(), "subscriptions/s")
		b.ReportMetric(float64(testtool.Heap()-before-server)/benchChannels, "B/subscription")
		l.Close()
		s.Stop()
	}
}

// BenchmarkChanSubscribe measures the share of nats.go.
func BenchmarkChanSubscribe(b *testing.B) {
	names := benchNames()
	server := serverCost(b, names)
	for b.Loop() {
		s := natstest.Start(b, nil)
		nc := natsClient(b, s.URL)
		queue := make(chan *nats.Msg, 1)
		before := testtool.Heap()
		for _, name := range names {
			if _, err := nc.ChanSubscribe(name, queue); err != nil {
				b.Fatal(err)
			}
		}
		if err := nc.FlushTimeout(brokertest.Patience); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(testtool.Heap()-before-server)/benchChannels, "B/subscription")
		nc.Close()
		s.Stop()
	}
}

// serverCost returns the memory that a server needs for subscriptions to these channels.
func serverCost(b *testing.B, names []string) int64 {
	s := natstest.Start(b, nil)
	defer s.Stop()
	raw := dialRaw(b, s)
	defer raw.Close()
	before := testtool.Heap()
	var lines strings.Builder
	for i, name := range names {
		fmt.Fprintf(&lines, "SUB %s %d\r\n", name, i+1)
	}
	lines.WriteString("PING\r\n")
	if _, err := raw.Write([]byte(lines.String())); err != nil {
		b.Fatal(err)
	}
	lines = strings.Builder{}
	readUntil(b, raw, "PONG")
	cost := testtool.Heap() - before
	runtime.KeepAlive(s)
	return cost
}

// BenchmarkPublish measures publications of 128 bytes that a node receives itself, from Publish to
// the outcome, many at once.
func BenchmarkPublish(b *testing.B) {
	s := natstest.Start(b, nil)
	n := upNode(b, broker.Config{DSN: s.URL})
	n.Join("news")
	content := []byte(strings.Repeat("x", 128))
	var done sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		done.Add(1)
		for {
			_, _, err := n.Publish([]byte("news"), content, func(_ broker.Receipt, err error) {
				if err != nil {
					b.Errorf("publication: %v", err)
				}
				done.Done()
			})
			if err == nil {
				break
			}
			runtime.Gosched()
		}
	}
	done.Wait()
	n.Until("all came", func() bool { return n.Count() >= b.N })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publications/s")
}
