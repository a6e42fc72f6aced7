package redis

import (
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// BenchmarkRedis measures the way of a publication to a real server and back, many at once.
func BenchmarkRedis(b *testing.B) {
	s := redistest.Start(b)
	n := upNode(b, broker.Config{DSN: s.DSN()})
	n.Join("news")
	carryMany(b, n, "news")
}

// BenchmarkCluster does the same with a cluster of three masters.
func BenchmarkCluster(b *testing.B) {
	servers := redistest.StartCluster(b, 3)
	n := upNode(b, broker.Config{DSN: servers[0].DSN()})
	names := manyChannels(60)
	n.Join(names...)
	carryMany(b, n, names...)
}

// carryMany publishes to channels in turn.
func carryMany(b *testing.B, n *brokertest.Node, names ...string) {
	content := []byte(`"a content of some length"`)
	var channels [][]byte
	for _, name := range names {
		channels = append(channels, []byte(name))
	}
	b.ReportAllocs()
	var pending sync.WaitGroup
	window := make(chan struct{}, 4096)
	for i := 0; b.Loop(); i++ {
		window <- struct{}{}
		pending.Add(1)
		if _, _, err := n.Publish(channels[i%len(channels)], content, func(_ broker.Receipt, err error) {
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
