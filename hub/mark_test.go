package hub

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestAJoinIfDependsOnItsCondition(t *testing.T) {
	h := newHub(1)
	c := &testConn{local: h.Local(0), id: 1}
	if c.local.JoinIf(c.id, &c.set, []byte("news"), func() bool { return false }) || c.set.Count() != 0 {
		t.Error("joined without the condition")
	}
	if st := h.Stats(); st != (Stats{}) {
		t.Errorf("a join that did not happen leaves %+v", st)
	}
	if !c.local.JoinIf(c.id, &c.set, []byte("news"), func() bool { return true }) || c.set.Count() != 1 {
		t.Error("not joined with the condition")
	}
	if c.local.JoinIf(c.id, &c.set, []byte("news"), func() bool { t.Error("a member's join is asked about"); return true }) {
		t.Error("a member has joined again")
	}
	publish(t, h, "news", "a")
	expect(t, "the member", drain(c.local, 256), "1<-a")
}

func TestPublishThenLeavesSilentClassesOut(t *testing.T) {
	h := newHub(1)
	crowdOf(h.Local(0), Raw, 0, 1, "news")
	crowdOf(h.Local(0), Envelope, 1, 1, "news")
	var f Frames
	then := 0
	if n, missing := h.PublishThen([]byte("news"), &f, 1<<Raw, func() { then++ }); n != 0 || missing != 1<<Envelope || then != 0 {
		t.Fatalf("PublishThen = %d, %b, and then was called %d times; the envelope's frame is missing", n, missing, then)
	}
	f[Envelope] = frameOf("{gap}")
	if n, missing := h.PublishThen([]byte("news"), &f, 1<<Raw, func() { then++ }); n != 1 || missing != 0 || then != 1 {
		t.Fatalf("PublishThen = %d, %b, and then was called %d times", n, missing, then)
	}
	f.Release()
	expect(t, "the members", drain(h.Local(0), 256), "1<-{gap}")
	if h.PublishThen([]byte("nobody"), &f, 0, func() { then++ }); then != 2 {
		t.Error("without members, then is not called")
	}
}

// Connections join while others publish. What they read at the join, and what they are given
// after it, is exactly the sequence.
func TestNothingIsMissedOrDoubledBetweenAJoinIfAndAPublication(t *testing.T) {
	const publications = 2000
	h := newHub(1)
	l, channel := h.Local(0), []byte("news")
	var given atomic.Int64
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for n := range publications {
			f := Frames{Raw: frameOf(strconv.Itoa(n) + " ")}
			h.PublishThen(channel, &f, 0, func() { given.Store(int64(n) + 1) })
			f.Release()
		}
	})
	next := map[uint32]int{} // by connection: the publication that it gets next
	var set [8]Memberships
	check := func() {
		for _, d := range drain(l, 256) {
			conns, text, _ := strings.Cut(d, "<-")
			for _, conn := range strings.Split(conns, ",") {
				id, _ := strconv.Atoi(conn)
				for _, field := range strings.Fields(text) {
					if n, _ := strconv.Atoi(field); n != next[uint32(id)] {
						t.Fatalf("%d is given %d, expects %d", id, n, next[uint32(id)])
					}
					next[uint32(id)]++
				}
			}
		}
	}
	for round := 0; given.Load() < publications; round++ {
		id := uint32(round % len(set))
		l.Leave(id, &set[id], channel)
		l.JoinIf(id, &set[id], channel, func() bool { next[id] = int(given.Load()); return true })
		check()
	}
	publishing.Wait()
	check()
	for id := range set {
		if set[id].Count() > 0 && next[uint32(id)] != publications {
			t.Errorf("%d ends before %d, of %d", id, next[uint32(id)], publications)
		}
	}
}
