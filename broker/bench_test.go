package broker

import "testing"

// BenchmarkMemory is what the broker adds to a publication, by one goroutine and
// by one on each core.
func BenchmarkMemory(b *testing.B) {
	var m Memory
	_ = m.Start(func(_, _ []byte) error { return nil }, nil)
	channel, content := []byte("news"), []byte(`"hi"`)
	b.Run("goroutines=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = m.Publish(channel, content, nil)
		}
	})
	b.Run("goroutines=cores", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = m.Publish(channel, content, nil)
			}
		})
	})
}
