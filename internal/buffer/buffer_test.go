package buffer

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"wsify/internal/invariants"
)

func TestANewBufferIsEmptyOursAndHasTheRoomAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 2 << 10, 2<<10 + 1, 16 << 10, 64 << 10, 256 << 10, 256<<10 + 1, 5 << 20} {
		b := New(n)
		if b.Len() != 0 || b.Messages != 0 || b.Room() < n || !b.Sole() || len(b.Bytes()) != 0 {
			t.Errorf("New(%d) has %d bytes, %d messages, room for %d, sole %v", n, b.Len(), b.Messages, b.Room(), b.Sole())
		}
		b.Release()
	}
}

func TestAppendAddsBytesAndMessages(t *testing.T) {
	b := New(4)
	defer b.Release()
	b.Append([]byte("one,"), 1)
	b.Append([]byte("two,three"), 2)
	b.Append(nil, 0)
	if got := string(b.Bytes()); got != "one,two,three" || b.Messages != 3 || b.Len() != len(got) {
		t.Errorf("the buffer holds %q, %d bytes, %d messages", got, b.Len(), b.Messages)
	}
	room := b.Room()
	b.SetBytes(append(b.Bytes(), '!'))
	if got := string(b.Bytes()); got != "one,two,three!" || b.Room() != room-1 {
		t.Errorf("after SetBytes: %q, room %d", got, b.Room())
	}
}

func TestABufferGrowsBeyondWhatWasAskedFor(t *testing.T) {
	for _, n := range []int{0, 256, 300 << 10} {
		b := New(n)
		want := strings.Repeat("x", 2*n+600)
		b.Append([]byte(want), 1)
		if string(b.Bytes()) != want {
			t.Errorf("New(%d) holds %d bytes, want %d", n, b.Len(), len(want))
		}
		b.Release()
	}
}

func TestOnlyTheLastReleaseGivesABufferBack(t *testing.T) {
	b := New(10)
	b.Append([]byte("shared"), 1)
	for range 2 {
		if b.Retain() != b {
			t.Fatal("Retain returned another buffer")
		}
	}
	if b.Sole() {
		t.Error("a buffer with three references is sole")
	}
	b.Release()
	b.Release()
	if !b.Sole() || string(b.Bytes()) != "shared" || b.Messages != 1 {
		t.Errorf("with one reference left it holds %q", b.Bytes())
	}
	b.Release()
}

func TestABufferFromThePoolBearsNoTrace(t *testing.T) {
	for range 1000 { // soon New returns a used one
		b := New(100)
		if b.Len() != 0 || b.Messages != 0 || b.Stamp != 0 || !b.Sole() || b.Room() != 256 {
			t.Fatalf("New(100) has %d bytes, %d messages, stamp %d, room for %d", b.Len(), b.Messages, b.Stamp, b.Room())
		}
		b.Stamp = 7
		b.Append(bytes.Repeat([]byte("trace"), 20), 20)
		b.Release()
	}
}

func TestManyGoroutinesMayShareABuffer(t *testing.T) {
	for range 100 {
		b := New(64)
		b.Append([]byte("the same for all"), 1)
		var wait sync.WaitGroup
		for range 8 {
			b.Retain()
			wait.Go(func() {
				if b.Retain(); string(b.Bytes()) != "the same for all" {
					t.Errorf("a reader saw %q", b.Bytes())
				}
				b.Release()
				b.Release()
			})
		}
		b.Release() // any of these calls may be the last
		wait.Wait()
	}
}

// I9: mistakes that would change what others read are detected.
func TestMisuseIsFoundOut(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs a build with assertions (-tags invariants)")
	}
	for name, misuse := range map[string]func(){
		"released too often":           func() { b := New(1 << 20); b.Release(); b.Release() },
		"retained without a reference": func() { b := New(1 << 20); b.Release(); b.Retain() },
		"write to a buffer with 2":     func() { New(1<<20).Retain().Append([]byte("x"), 1) },
		"write to a buffer with 0":     func() { b := New(1 << 20); b.Release(); b.SetBytes(nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "invariant broken: I9") {
					t.Errorf("%s: %s", name, got)
				}
			}()
			misuse()
		}()
	}
}

func TestAReleasedBufferIsOverwritten(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs a build with assertions (-tags invariants)")
	}
	b := New(1 << 20) // not pooled, so nothing else writes to it
	b.Append([]byte("late reader"), 1)
	p := b.Bytes()
	b.Release()
	if !bytes.Equal(p, bytes.Repeat([]byte{0xDD}, len(p))) {
		t.Errorf("a late reader sees %q", p)
	}
}
