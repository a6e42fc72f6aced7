//go:build linux

package main

import (
	"bytes"
	"testing"
)

// A receiver spends this on what one read brings: four joined deliveries.
func BenchmarkFollowFourFrames(b *testing.B) {
	in := bytes.Repeat(serverFrame(0x81, text(128)), 4)
	var f frames
	b.ReportAllocs()
	for b.Loop() {
		for p := in; len(p) > 0; {
			p, _, _ = f.next(p)
		}
	}
}

func BenchmarkReadCPU(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readCPU(pid()); err != nil {
			b.Fatal(err)
		}
	}
}
