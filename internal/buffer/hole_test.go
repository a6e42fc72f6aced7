package buffer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// frame returns a buffer with one message that is not for conns.
func frame(text string, conns ...uint64) *Buffer {
	b := New(len(text))
	b.Append([]byte(text), 1)
	b.Except(conns)
	return b
}

func TestAHoleIsNotForItsConnections(t *testing.T) {
	b := frame("hello", 1, 2)
	defer b.Release()
	for conn, want := range map[uint64]string{1: "", 2: "", 3: "hello"} {
		own := b.Without(conn)
		if got := string(own.Bytes()); got != want || own.Messages != min(len(want), 1) {
			t.Errorf("%d gets %q as %d messages, want %q", conn, got, own.Messages, want)
		}
		if conn == 3 && own != b {
			t.Error("a connection without a hole gets a copy")
		}
		own.Release()
	}
	if !b.Sole() {
		t.Error("a reference is left")
	}
}

func TestABufferWithoutHolesHasNone(t *testing.T) {
	b := frame("hello")
	defer b.Release()
	if b.Holes() != nil || b.Size() != b.Len() {
		t.Errorf("holes %v, size %d of %d", b.Holes(), b.Size(), b.Len())
	}
}

// Buffers of several messages are joined in any grouping. Each connection gets exactly the messages
// that do not leave it out, in order.
func TestJoinedBuffersKeepTheirHoles(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		joined, memory := New(0), 0
		want := [4]string{}
		for range random.IntN(12) {
			group := New(0)
			for range random.IntN(4) {
				text, conns := fmt.Sprintf("<%d>", random.Uint32()), []uint64(nil)
				for conn := range want {
					if random.IntN(3) == 0 {
						conns = append(conns, uint64(conn))
					} else {
						want[conn] += text
					}
				}
				f := frame(text, conns...)
				memory += f.Size()
				group.Join(f)
				f.Release()
			}
			joined.Join(group)
			group.Release()
		}
		for conn, text := range want {
			own := joined.Without(uint64(conn))
			if string(own.Bytes()) != text || own.Messages != bytes.Count(own.Bytes(), []byte("<")) {
				t.Fatalf("seed %d: %d gets %q as %d messages, want %q", seed, conn, own.Bytes(), own.Messages, text)
			}
			own.Release()
		}
		if joined.Size() != memory || joined.Memory() < joined.Size() {
			t.Fatalf("seed %d: size %d and memory %d, want size %d", seed, joined.Size(), joined.Memory(), memory)
		}
		joined.Release()
	}
}

func TestABufferFromThePoolHasNoHole(t *testing.T) {
	for range 1000 {
		b := New(100)
		if b.Holes() != nil {
			t.Fatalf("New(100) has the holes %v", b.Holes())
		}
		b.Append([]byte("x"), 1)
		b.Except(slices.Repeat([]uint64{7}, 3))
		b.Release()
	}
}
