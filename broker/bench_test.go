package broker_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// BenchmarkMemory measures what the broker adds to a publication, with one goroutine and with one
// for each core.
func BenchmarkMemory(b *testing.B) {
	var m broker.Memory
	_ = m.Start(func(_, _ []byte) error { return nil }, nil)
	channel, content := []byte("news"), []byte(`"hi"`)
	b.Run("goroutines=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = m.Publish(nil, channel, content, nil)
		}
	})
	b.Run("goroutines=cores", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _, _ = m.Publish(nil, channel, content, nil)
			}
		})
	})
}

// BenchmarkMemoryHistory publishes to channels that keep history, one and many at once.
func BenchmarkMemoryHistory(b *testing.B) {
	m := broker.NewMemory(broker.Config{History: &broker.History{Match: func(string) bool { return true }, Size: 100, TTL: time.Minute, Memory: 64 << 20}})
	_ = m.Start(func(_, _ []byte) error { return nil }, nil)
	content := make([]byte, 200)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = m.Publish(nil, []byte("news"), content, nil)
		}
	})
	b.Run("100000 channels", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_, _, _ = m.Publish(nil, strconv.AppendInt(nil, int64(i%100_000), 10), content, nil)
		}
	})
}

// BenchmarkPublishAndDeliver measures the way of a publication to the engine and back to the node,
// with as many under way as the outbox takes.
func BenchmarkPublishAndDeliver(b *testing.B) {
	for _, name := range []string{"fake", "redis", "nats"} {
		b.Run(name, func(b *testing.B) {
			node, err := rigs[name](b).open(broker.Config{})
			if err != nil {
				b.Fatal(err)
			}
			var received atomic.Int64
			all := make(chan struct{})
			room := make(chan struct{}, 1)
			want := int64(0)
			deliver := func(_, _ []byte) error {
				if received.Add(1) == atomic.LoadInt64(&want) {
					close(all)
				}
				return nil
			}
			_ = node.Start(deliver, func(*broker.Waiter) { room <- struct{}{} })
			defer func() { _ = node.Close() }()
			brokertest.Until(b, "the node is up", node.Up)
			node.Subscribe("c")
			confirmed := make(chan error, 1)
			if pending, _ := node.Await([]byte("c"), func(err error) { confirmed <- err }); pending {
				<-confirmed
			}
			content := make([]byte, 128)
			channel := []byte("c")
			atomic.StoreInt64(&want, int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			w := new(broker.Waiter)
			for range b.N {
				for {
					_, _, err := node.Publish(w, channel, content, nil)
					if err == nil {
						break
					}
					<-room
				}
			}
			<-all
		})
	}
}
