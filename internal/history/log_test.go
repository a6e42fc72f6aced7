package history

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func entry(epoch string, prev, offset uint64) published {
	return published{Position: Position{epoch, offset}, Prev: prev, Size: 10, Value: fmt.Sprint(epoch, offset)}
}

func tailOf(epoch string, offset uint64) Page[string] {
	return Page[string]{Tail: Position{epoch, offset}, From: offset}
}

// steps runs the log until it is idle or waits for the engine, and says what it did.
func steps(l *Log[string]) string {
	var did []string
	for {
		step, e := l.Next()
		switch step {
		case Idle:
			return strings.Join(did, " ")
		case Read, Start:
			return strings.Join(append(did, [...]string{Read: "read", Start: "start"}[step]), " ")
		case Deliver:
			did = append(did, e.Value)
		case Gap:
			p, _ := l.Position()
			did = append(did, fmt.Sprint("gap:", p.Epoch, p.Offset))
		}
		l.Given()
	}
}

func expect(t *testing.T, l *Log[string], want string) {
	t.Helper()
	if got := steps(l); got != want {
		t.Fatalf("the log did %q; expected %q", got, want)
	}
}

func begun(size int, memory int64) *Log[string] {
	l := (&Set[string]{Limits: Limits{Size: size, Memory: memory}}).New()
	l.Begin(tailOf("a", 5), false)
	return l
}

func TestWhatArrivesBeforeThePositionIsKnownIsKeptIfItIsNewer(t *testing.T) {
	l := (&Set[string]{Limits: Limits{Size: 10, Memory: 1000}}).New()
	l.Put(entry("a", 4, 5))
	l.Put(entry("a", 5, 6))
	expect(t, l, "start")
	l.Begin(tailOf("a", 5), false)
	expect(t, l, "a6")
	if l.Put(entry("a", 4, 5)) {
		t.Error("Put = true for a publication that the position includes")
	}
}

func TestMembersFromBeforeThePositionIsKnownAreToldOfAGap(t *testing.T) {
	l := (&Set[string]{Limits: Limits{Size: 10, Memory: 1000}}).New()
	l.Begin(tailOf("a", 5), true)
	expect(t, l, "gap:a5")
}

func TestAPositionThatCannotBeReadIsLearnedFromWhatArrives(t *testing.T) {
	l := (&Set[string]{Limits: Limits{Size: 10, Memory: 1000}}).New()
	if l.GiveUp() {
		t.Error("GiveUp = true for a log that has got nothing")
	}
	l.Put(entry("a", 8, 9))
	expect(t, l, "start")
	l.GiveUp()
	expect(t, l, "gap:a8 a9")
}

func TestOneThatOvertakesWaitsForTheOthers(t *testing.T) {
	l := begun(10, 1000)
	l.Put(entry("a", 6, 7))
	expect(t, l, "read")
	l.Put(entry("a", 5, 6))
	expect(t, l, "a6 a7")
}

func TestANewEpochIsAGap(t *testing.T) {
	l := begun(10, 1000)
	l.Put(entry("a", 5, 6))
	l.Put(entry("b", 0, 1))
	expect(t, l, "a6 gap:b0 b1")
	if _, ok := l.After(nil, Position{"a", 6}, 0); ok {
		t.Error("a position of the epoch before is served")
	}
	l.Put(entry("b", 3, 4))
	expect(t, l, "read")
	l.Fill(Position{"b", 1}, Page[string]{Entries: []published{entry("b", 2, 3), entry("b", 3, 4)}, From: 2, Tail: Position{"b", 4}})
	expect(t, l, "gap:b2 b3 b4")
}

// An engine that was restored from an older copy goes on from there.
func TestAnEngineThatIsBehindTheMembersIsAGap(t *testing.T) {
	l := begun(10, 1000)
	l.Fill(Position{"a", 5}, tailOf("a", 3))
	l.Put(entry("a", 3, 4))
	expect(t, l, "gap:a3 a4")
}

// Too much behind a gap is dropped, because the engine has it.
func TestWhatIsHeldBackIsBounded(t *testing.T) {
	l := begun(1000, 1<<30)
	big := entry("a", 6, 7)
	big.Size = maxHeld
	l.Put(big)
	if _, held := l.set.Kept(); held != maxHeld {
		t.Fatalf("%d bytes are held back; expected %d: one is held, whatever its size", held, maxHeld)
	}
	l.Put(entry("a", 7, 8))
	if _, held := l.set.Kept(); held != 0 {
		t.Errorf("%d bytes are held back over the bound", held)
	}
	expect(t, l, "read")
	l.Fill(Position{"a", 5}, Page[string]{Entries: []published{entry("a", 5, 6), entry("a", 6, 7), entry("a", 7, 8)}, From: 5, Tail: Position{"a", 8}, Complete: true})
	expect(t, l, "a6 a7 a8")
}

func TestTheChannelThatWasPublishedToLeastRecentlyLosesItsHistoryFirst(t *testing.T) {
	set := &Set[string]{Limits: Limits{Size: 10, Memory: 40}}
	old, busy := set.New(), set.New()
	put := func(l *Log[string], from, to uint64) {
		for n := from; n <= to; n++ {
			l.Put(entry("a", n-1, n))
		}
		steps(l)
	}
	for _, l := range []*Log[string]{old, busy} {
		l.Begin(tailOf("a", 0), false)
	}
	put(old, 1, 2)
	put(busy, 1, 2)
	if got, ok := old.After(nil, Position{"a", 0}, 0); !ok || len(got) != 2 {
		t.Fatalf("After = %v, %t at the limit; expected both", got, ok)
	}
	put(busy, 3, 3)
	if _, ok := old.After(nil, Position{"a", 1}, 0); ok {
		t.Error("the older channel still has its history")
	}
	if got, ok := old.After(nil, Position{"a", 2}, 0); !ok || len(got) != 0 {
		t.Errorf("After its newest = %v, %t; expected nothing, true", got, ok)
	}
	put(busy, 4, 5)
	if got, ok := busy.After(nil, Position{"a", 1}, 0); !ok || len(got) != 4 {
		t.Errorf("the last channel has %v, %t; expected its newest four", got, ok)
	}
	busy.Grow(Position{"a", 5}, 20) // an encoded form
	if got, ok := busy.After(nil, Position{"a", 3}, 0); !ok || len(got) != 2 || set.kept != 40 {
		t.Errorf("after an entry has grown: %v, %t, %d bytes; expected two, 40 bytes", got, ok, set.kept)
	}
	busy.Close()
	old.Close()
	if !reflect.DeepEqual(*set, Set[string]{Limits: set.Limits}) {
		t.Errorf("the empty set is %+v", *set)
	}
}

// The node keeps the position all the same, so that a client that has missed nothing recovers.
func TestAHistoryOfOneByteKeepsThePosition(t *testing.T) {
	l := begun(10, 1)
	l.Put(entry("a", 5, 6))
	expect(t, l, "a6")
	if _, ok := l.After(nil, Position{"a", 5}, 0); ok {
		t.Error("a publication of ten bytes is kept in one")
	}
	if _, ok := l.After(nil, Position{"a", 6}, 0); !ok {
		t.Error("a client that has missed nothing does not recover")
	}
}

func TestPublicationsExpire(t *testing.T) {
	set := &Set[string]{Limits: Limits{Size: 10, Memory: 1000, TTL: 5}}
	l := set.New()
	p := tailOf("a", 0)
	p.Whole = true
	l.Begin(p, false)
	for n := uint64(1); n <= 3; n++ {
		e := entry("a", n-1, n)
		e.At = int64(n)
		l.Put(e)
	}
	steps(l)
	if got, ok := l.After(nil, Position{"a", 0}, 6); !ok || len(got) != 3 {
		t.Errorf("at the limit: %v, %t; expected all three", got, ok)
	}
	if _, ok := l.After(nil, Position{"a", 0}, 7); ok {
		t.Error("what is older than the TTL is served")
	}
	if got, ok := l.Newest(nil, 9, 7); !ok || len(got) != 2 {
		t.Errorf("the newest are %v, %t; expected two, and that the engine has no more", got, ok)
	}
}

func TestBackfillServesOlderPositions(t *testing.T) {
	l := begun(3, 1000)
	l.Put(entry("a", 5, 6))
	expect(t, l, "a6")
	all := []published{entry("a", 2, 3), entry("a", 3, 4), entry("a", 4, 5), entry("a", 5, 6), entry("a", 6, 7)}
	l.Backfill(Page[string]{Entries: all, From: 2, Tail: Position{"a", 7}, Complete: true})
	if got, ok := l.After(nil, Position{"a", 3}, 0); !ok || strings.Join(got, " ") != "a4 a5 a6" {
		t.Errorf("After a3 = %v, %t; expected the three that the members have", got, ok)
	}
	if _, ok := l.After(nil, Position{"a", 2}, 0); ok {
		t.Error("four publications are served from a history of three")
	}
	if _, ok := l.After(nil, Position{"a", 7}, 0); ok {
		t.Error("a position that the members have not reached is served")
	}
}

func TestNewest(t *testing.T) {
	l := begun(3, 1000)
	l.Put(entry("a", 5, 6))
	expect(t, l, "a6")
	if got, ok := l.Newest(nil, 1, 0); !ok || strings.Join(got, " ") != "a6" {
		t.Errorf("Newest(1) = %v, %t", got, ok)
	}
	if _, ok := l.Newest(nil, 2, 0); ok {
		t.Error("Newest(2) is complete, and the engine may have an older one")
	}
	for n := uint64(7); n < 10; n++ {
		l.Put(entry("a", n-1, n))
	}
	expect(t, l, "a7 a8 a9")
	if got, ok := l.Newest(nil, 5, 0); !ok || len(got) != 3 {
		t.Errorf("Newest(5) = %v, %t; expected three, which is all that engines keep", got, ok)
	}
	if got, ok := l.Newest(nil, 0, 0); !ok || len(got) != 0 {
		t.Errorf("Newest(0) = %v, %t", got, ok)
	}
}
