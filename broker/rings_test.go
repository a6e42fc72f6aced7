package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// keeper is a Memory that keeps history of all channels, at a time that the test sets.
type keeper struct {
	*Memory
	t    testing.TB
	time time.Duration
	fail error // of deliver
	got  int   // publications delivered
}

func newKeeper(t testing.TB, memory int64, size int, ttl time.Duration) *keeper {
	k := &keeper{Memory: NewMemory(Config{History: &History{Match: func(string) bool { return true }, Size: size, TTL: ttl, Memory: memory}}), t: t}
	k.history.now = func() time.Duration { return k.time }
	_ = k.Start(func(_, _ []byte) error {
		if k.fail == nil {
			k.got++
		}
		return k.fail
	}, nil)
	return k
}

func (k *keeper) place(channel, content string) Position {
	k.t.Helper()
	_, r, err := k.Publish(nil, []byte(channel), []byte(content), nil)
	if err != nil {
		k.t.Fatalf("Publish to %q: %v", channel, err)
	}
	return r.Position
}

func (k *keeper) read(channel string, after Position) Page {
	k.t.Helper()
	p, err := k.ReadHistory(k.t.Context(), channel, after, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// one is the memory that a channel with one publication takes at most, both of one byte.
func one() int64 { return emptySize("a") + keptSize(positionRoom+1) }

func TestTheLeastRecentlyPublishedChannelLosesItsHistory(t *testing.T) {
	k := newKeeper(t, 3*one()+keptSize(positionRoom), 10, time.Hour)
	at := map[string]Position{}
	for _, channel := range []string{"a", "b", "c", "a", "d"} {
		at[channel] = k.place(channel, "1")
	}
	if k.history.byName["b"] != nil || len(k.history.byName) != 3 {
		t.Fatalf("kept are %v, want all but b", k.history.byName)
	}
	if p := k.read("a", Position{at["a"].Epoch, 0}); !p.Complete || len(p.Entries) != 2 {
		t.Errorf("of a, %+v is read", p)
	}
	if bytes, losses := k.HistoryStats(); bytes != k.history.bytes || losses != 1 {
		t.Errorf("%d bytes and %d losses are told", bytes, losses)
	}
	// The last one of b has missed nothing, the one before has.
	if p := k.read("b", at["b"]); !p.Complete || len(p.Entries) > 0 {
		t.Errorf("after the last of b, %+v is read", p)
	}
	if p := k.read("b", Position{at["b"].Epoch, at["b"].Offset - 1}); p.Complete {
		t.Errorf("before the last of b, %+v is read", p)
	}
	if again := k.place("b", "1"); again.Offset <= at["b"].Offset {
		t.Errorf("b goes on at %q, behind %q", again, at["b"])
	}
}

// A ring that comes after one that was lost does not use its offsets, whichever channel had them.
func TestNoPositionComesTwice(t *testing.T) {
	k := newKeeper(t, 2*one(), 10, time.Hour)
	seen := map[string]map[Position]bool{}
	for i := range 300 {
		channel := string(rune('a' + i*i%7))
		p := k.place(channel, "1")
		if seen[channel] == nil {
			seen[channel] = map[Position]bool{}
		}
		if seen[channel][p] {
			t.Fatalf("%s has %q twice", channel, p)
		}
		seen[channel][p] = true
	}
}

func TestAPublicationLargerThanTheHistoryIsRefused(t *testing.T) {
	least := one()
	for _, memory := range []int64{1, least - 1, least} {
		k := newKeeper(t, memory, 10, time.Hour)
		pending, r, err := k.Publish(nil, []byte("a"), []byte("1"), nil)
		p := k.read("a", Position{})
		if memory == least {
			if err != nil || r.Position != p.Tail || p.Tail.Offset != 1 || !k.read("a", Position{p.Tail.Epoch, 0}).Complete {
				t.Errorf("a publication that fits: %+v, %v; the history has %+v", r, err, p)
			}
		} else if pending || r != (Receipt{}) || !errors.Is(err, ErrTooBig) || k.got != 0 || p.Tail.Offset != 0 {
			t.Errorf("with %d bytes: %+v, %v, %d were delivered, and the tail is %q", memory, r, err, k.got, p.Tail)
		}
		if k.history.bytes > memory {
			t.Errorf("%d of %d bytes are in use", k.history.bytes, memory)
		}
	}
}

func TestARefusedDeliveryIsNotKept(t *testing.T) {
	k := newKeeper(t, 1<<20, 10, time.Hour)
	first := k.place("a", "1")
	k.fail = errors.New("busy")
	if _, r, err := k.Publish(nil, []byte("a"), []byte("2"), nil); err != k.fail || r != (Receipt{}) {
		t.Errorf("Publish: %+v, %v", r, err)
	}
	k.fail = nil
	if next := k.place("a", "3"); next.Offset != first.Offset+1 {
		t.Errorf("the next is at %q, behind %q", next, first)
	}
	if p := k.read("a", first); len(p.Entries) != 1 || string(p.Entries[0].Content) != "3" {
		t.Errorf("%+v is read", p)
	}
}

// What has expired is given up when anything is published, in any channel.
func TestExpiredPublicationsTakeNoMemory(t *testing.T) {
	k := newKeeper(t, 1<<30, 10, time.Minute)
	for i := range 100 {
		k.place(fmt.Sprint(i), strings.Repeat("x", 10_000))
	}
	last := k.read("7", Position{}).Tail
	k.time = time.Minute + 1
	for range 100 {
		k.place("new", "1")
	}
	if k.history.bytes > 100_000 {
		t.Errorf("%d bytes are in use", k.history.bytes)
	}
	if p := k.read("7", last); !p.Complete || p.Tail != last {
		t.Errorf("who has missed nothing gets %+v", p)
	}
}

// Publishers, readers and losses at the same time: what is read has no hole, no position comes twice,
// and the bound holds when all have ended.
func TestHistoryHoldsItsBoundWhileManyPublish(t *testing.T) {
	const bound = 40_000
	m := NewMemory(Config{History: &History{Match: func(string) bool { return true }, Size: 8, TTL: time.Hour, Memory: bound}})
	var mu sync.Mutex
	last := map[string]uint64{}
	_ = m.Start(func(channel, content []byte) error {
		h, _, _ := SplitHead(content)
		mu.Lock()
		defer mu.Unlock()
		if h.Position.Offset <= last[string(channel)] {
			t.Errorf("%s: %q is delivered behind %d", channel, h.Position, last[string(channel)])
		}
		last[string(channel)] = h.Position.Offset
		return nil
	}, nil)
	var all sync.WaitGroup
	for g := range uint64(4) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(g, 1))
			for range 3000 {
				channel := fmt.Sprint(random.IntN(60))
				content := make([]byte, random.IntN(2000))
				_, _, _ = m.Publish(nil, []byte(channel), content, nil)
				tail, _ := m.ReadHistory(t.Context(), channel, Position{}, 0)
				after := Position{tail.Tail.Epoch, tail.Tail.Offset - min(tail.Tail.Offset, 3)}
				p, _ := m.ReadHistory(t.Context(), channel, after, 0)
				for i, e := range p.Entries {
					if e.Head.Position.Offset != after.Offset+uint64(i)+1 {
						t.Errorf("%q is read as number %d after %q", e.Head.Position, i, after)
					}
				}
				if p.Complete && p.Tail.Offset != after.Offset+uint64(len(p.Entries)) {
					t.Errorf("%d after %q are all up to %q", len(p.Entries), after, p.Tail)
				}
			}
		})
	}
	all.Wait()
	_, _, _ = m.Publish(nil, []byte("settles"), nil, nil)
	s, bytes := m.history, int64(0)
	for name, c := range s.byName {
		size := emptySize(name)
		for i := range c.kept {
			size += c.kept[i].size()
		}
		if c.size != size || c.counted != size || c.lost {
			t.Errorf("%s takes %d, of which %d and %d are known; lost: %t", name, size, c.size, c.counted, c.lost)
		}
		bytes += size
	}
	if s.bytes != bytes || bytes > bound || s.full.Len()+s.empty.Len() != len(s.byName) {
		t.Errorf("%d bytes are counted, %d are there, the bound is %d; %d and %d of %d are listed", s.bytes, bytes, bound, s.full.Len(), s.empty.Len(), len(s.byName))
	}
}

// The bound is about memory: what is counted is not less than what the heap grows by.
func TestHistoryCountsTheMemoryItTakes(t *testing.T) {
	for _, c := range []struct{ channels, each, content int }{{20_000, 1, 10}, {2000, 20, 100}, {20, 100, 10_000}} {
		heap := testtool.Heap()
		k := newKeeper(t, 1<<40, c.each, time.Hour)
		for i := range c.channels * (c.each + 3) {
			k.place(fmt.Sprint("channel ", i%c.channels), strings.Repeat("x", c.content))
		}
		if took := testtool.Heap() - heap; took > k.history.bytes {
			t.Errorf("%+v: %d bytes are counted, the heap has %d more", c, k.history.bytes, took)
		}
		runtime.KeepAlive(k)
	}
}

func TestChannelsWithoutHistoryAllocateNothing(t *testing.T) {
	m := NewMemory(Config{History: &History{Match: func(channel string) bool { return channel == "h" }, Size: 1, TTL: 1, Memory: 1}})
	_ = m.Start(func(_, _ []byte) error { return nil }, nil)
	channel, content := []byte("plain"), []byte("1")
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = m.Publish(nil, channel, content, nil) }); n != 0 {
		t.Errorf("a publication makes %v allocations", n)
	}
}

// A position is written into any head, and can be read from it; content stays as it is.
func FuzzWithPosition(f *testing.F) {
	f.Add([]byte("1"), "e", uint64(1), uint64(0))
	f.Add([]byte("\x00 {\"user\":\"ann\"}\n1"), "zzzzzzzzzzzzzzzzzzzz", uint64(1<<64-1), uint64(1<<64-1))
	f.Add([]byte("\x00e-1-0 \n1"), "e", uint64(2), uint64(1))
	f.Add([]byte{}, "0", uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, content []byte, epoch string, offset, prev uint64) {
		p, ok := ParsePosition([]byte(Position{epoch, offset}.String()))
		if !ok {
			t.Skip()
		}
		before, rest, readable := SplitHead(content)
		b, ok := WithPosition(content, p, prev)
		if !readable || before.Position != (Position{}) {
			return
		}
		after, same, again := SplitHead(b)
		if !again && len(b) > MaxHead {
			t.Skip()
		}
		before.Position, before.Prev = p, prev
		if !ok || !again || string(same) != string(rest) || fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%q with %q is %q: %+v and %q; want %+v and %q", content, p, b, after, same, before, rest)
		}
	})
}
