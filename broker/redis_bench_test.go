package broker

import (
	"sync"
	"testing"

	"wsify/internal/redistest"
)

// BenchmarkRedis is a publication's way to a real server and back, many at once.
func BenchmarkRedis(b *testing.B) {
	s := redistest.Start(b)
	n := upRedisNode(b, Config{DSN: s.DSN()})
	n.join("news")
	channel, content := []byte("news"), []byte(`"a content of some length"`)
	b.ReportAllocs()
	var pending sync.WaitGroup
	window := make(chan struct{}, 4096)
	for b.Loop() {
		window <- struct{}{}
		pending.Add(1)
		if _, err := n.Publish(channel, content, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-window
			pending.Done()
		}); err != nil {
			b.Fatal(err)
		}
	}
	pending.Wait()
}
