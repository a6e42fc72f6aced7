package buffer

import (
	"fmt"
	"testing"
)

// BenchmarkBuffer is the life of a publication's buffer with one subscriber.
func BenchmarkBuffer(b *testing.B) {
	for _, size := range []int{128, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				buf := New(size)
				buf.Append(p, 1)
				buf.Retain().Release()
				buf.Release()
			}
		})
	}
}
