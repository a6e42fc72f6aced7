package session

import (
	"sync/atomic"
	"testing"

	"wsify/internal/testtool"
)

// stamps times the next publication once due is set.
type stamps struct {
	noTimes
	due       atomic.Bool
	delivered atomic.Int64
}

func (s *stamps) Stamp([]byte) int64 {
	if s.due.Swap(false) {
		return 1
	}
	return 0
}

func (s *stamps) Delivered(int64) { s.delivered.Add(1) }

// TestFanoutIsTimedToTheLastMember: a publication to members on both loops is timed on
// each, when that loop has delivered it to all its members.
func TestFanoutIsTimedToTheLastMember(t *testing.T) {
	times := &stamps{}
	srv := start(t, Config{Times: times})
	a, b := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	a.join("c")
	b.join("c")
	say := func(channel, content string) { // not over HTTP: the held loop might accept the connection
		if _, _, err := srv.broker.Publish(nil, []byte(channel), []byte(content), nil); err != nil {
			t.Fatal(err)
		}
	}
	times.due.Store(true)
	say("nobody", "0") // no delivery, so nothing to time
	times.due.Store(true)
	release := holdLoop(t, srv.loops[0])
	say("c", "1")
	testtool.Until(t, "the other loop has delivered", func() bool { return times.delivered.Load() == 1 })
	say("c", "2") // joined with the first, and not timed
	release()
	a.expectText("1", "2")
	b.expectText("1", "2")
	testtool.Until(t, "both loops have delivered", func() bool { return times.delivered.Load() == 2 })
	say("c", "3")
	a.expectText("3")
	b.expectText("3")
	if n := times.delivered.Load(); n != 2 {
		t.Errorf("%d deliveries were timed, want 2", n)
	}
}

// A loop that hangs gets at most one check at a time.
func TestALoopIsAskedOneQuestionAtATime(t *testing.T) {
	srv := start(t, Config{})
	release := holdLoop(t, srv.loops[1])
	first := srv.AskLoop(1)
	if again := srv.AskLoop(1); first != again {
		t.Error("a loop that hangs is checked again and again")
	}
	release()
	<-first
}
