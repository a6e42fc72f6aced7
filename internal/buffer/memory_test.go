package buffer

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestMemoryIsThatOfTheCapacity(t *testing.T) {
	for n, capacity := range map[int]int{0: 256, 1: 256, 256: 256, 257: 512, 5000: 8 << 10, 256 << 10: 256 << 10, 256<<10 + 1: 256<<10 + 1} {
		b := New(n)
		if got, want := b.Memory(), capacity+56; got != want || MemoryFor(n) != want {
			t.Errorf("New(%d) keeps %d bytes, MemoryFor says %d, want %d", n, got, MemoryFor(n), want)
		}
		b.Release()
	}
}

// The memory of a buffer counts once, however many queues hold it: from the first
// to the last.
func TestTheFirstQueueAddsAndTheLastFrees(t *testing.T) {
	b := New(100)
	if added := b.Hold(); added != b.Memory() {
		t.Errorf("the first Hold added %d, want %d", added, b.Memory())
	}
	if added := b.Hold(); added != 0 {
		t.Errorf("the second Hold added %d, want 0", added)
	}
	if freed := b.Drop(); freed != 0 {
		t.Errorf("Drop freed %d while another queue holds it", freed)
	}
	if b.Sole() {
		t.Error("the buffer is sole with two references")
	}
	if freed := b.Drop(); freed != b.Memory() {
		t.Errorf("the last Drop freed %d, want %d", freed, b.Memory())
	}
	if !b.Sole() || b.Hold() != b.Memory() {
		t.Error("our own reference counts as a queue's")
	}
	b.Release() // the queue is the last to hold it
	if freed := b.Drop(); freed != 256+56 {
		t.Errorf("the last reference freed %d", freed)
	}
}

func TestQueuesOnManyGoroutinesCountABufferExactly(t *testing.T) {
	var sum atomic.Int64
	for range 100 {
		b := New(64)
		var wait sync.WaitGroup
		for range 8 {
			b.Retain()
			wait.Go(func() {
				for range 10 {
					sum.Add(int64(b.Hold()))
					sum.Add(-int64(b.Drop()))
				}
				b.Release()
			})
		}
		b.Release()
		wait.Wait()
		if n := sum.Load(); n != 0 {
			t.Fatalf("%d bytes are counted when no queue holds anything", n)
		}
	}
}
