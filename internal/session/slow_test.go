package session

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// deafPeer returns a member of "loud" that does not read after its join.
func deafPeer(t *testing.T, srv *Server) *peer {
	t.Helper()
	p := connect(t, srv, "/ws")
	p.join("loud")
	return p
}

// loudly publishes large messages, numbered from one on, until enough returns true. The
// publisher receives each before it makes the next. loudly returns the next number.
func loudly(t *testing.T, p *peer, n int, enough func() bool) int {
	t.Helper()
	for ; !enough(); n++ {
		content := loud(n)
		p.broadcast("loud", content)
		p.expectText(content)
		if n > 10_000 {
			t.Fatal("10,000 publications have not filled a queue of 64 KiB")
		}
	}
	return n
}

func loud(n int) string { return fmt.Sprintf(`"%d %s"`, n, strings.Repeat("loud", 4<<10)) }

// loudNumber returns the number in a publication of loudly.
func loudNumber(t *testing.T, f frame) int {
	t.Helper()
	digits, _, _ := strings.Cut(strings.TrimPrefix(f.payload, `"`), " ")
	n, err := strconv.Atoi(digits)
	if err != nil || f.op != opText || f.payload != loud(n) {
		t.Fatalf("got %v, want a whole publication", f)
	}
	return n
}

// A member that never reads gets whole frames, then 4001. Other members are not affected.
func TestAMemberThatNeverReadsIsClosed(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	deaf, p := deafPeer(t, srv), connect(t, srv, "/ws")
	p.join("loud")
	loudly(t, p, 0, func() bool { return srv.Stats().Dropped["slow_consumer"] > 0 })
	testtool.Until(t, "its membership is gone", func() bool { return srv.members(t, "loud") == 1 })
	for want := 0; ; want++ {
		f, err := deaf.next()
		if err != nil {
			t.Fatalf("after %d publications: %v", want, err)
		}
		if f.op == opClose {
			if closeCode(f) != 4001 {
				t.Fatalf("got %v, want close 4001", f)
			}
			break
		}
		if got := loudNumber(t, f); got != want {
			t.Fatalf("publication %d, want %d", got, want)
		}
	}
	deaf.expectEnd()
	idle(t, srv, 1, 1, 1)
	if got := srv.Stats().Closed["slow_consumer"]; got != 1 {
		t.Errorf("%d connections closed as slow, want 1", got)
	}
}

// With -slow-policy drop such a member stays. It misses as many messages as are counted,
// and receives new ones once it reads.
func TestAMemberThatNeverReadsMissesWhatIsCounted(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 64 << 10, DropSlow: true})
	deaf, p := deafPeer(t, srv), connect(t, srv, "/ws")
	p.join("loud")
	n := loudly(t, p, 0, func() bool { return srv.Stats().Dropped["slow_consumer"] >= 100 })
	settle(t, srv)
	dropped := int(srv.Stats().Dropped["slow_consumer"])
	heard := 0
	for ; heard < n-dropped; heard++ {
		f, err := deaf.next()
		if err != nil {
			t.Fatalf("after %d publications: %v", heard, err)
		}
		if got := loudNumber(t, f); got < heard {
			t.Fatalf("publication %d is out of order or repeated", got)
		}
	}
	deaf.expectNothing()
	p.broadcast("loud", loud(n))
	deaf.expectText(loud(n))
	deaf.usable()
}

// Many members that never read are closed. A member that reads gets everything.
func TestManyMembersThatNeverReadAreClosed(t *testing.T) {
	deafs := unlessRace(100, 30)
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	for range deafs {
		deafPeer(t, srv)
	}
	p := connect(t, srv, "/ws")
	p.join("loud")
	loudly(t, p, 0, func() bool { return srv.members(t, "loud") == 1 })
	p.usable()
	if got := srv.Stats().Closed; got["slow_consumer"] > uint64(deafs) || got["internal"] > 0 {
		t.Errorf("closed: %v, want at most %d slow consumers", got, deafs)
	}
}

// An empty queue takes a message of any size, so one message may be far above the
// mark. The control frames after it must still be accepted, and the Close frame must
// not be lost if the peer is closed because of it.
func TestControlFramesFollowAMessageAboveTheMark(t *testing.T) {
	t.Parallel()
	for policy, drop := range map[string]bool{"close": false, "drop": true} {
		t.Run(policy, func(t *testing.T) {
			srv := start(t, Config{WriteQueueSize: 64 << 10, MaxMessageSize: 32 << 20, DropSlow: drop})
			p := connect(t, srv, "/ws")
			p.join("c")
			content := `"` + strings.Repeat("x", 16<<20) + `"`
			p.broadcast("c", content)
			testtool.Until(t, "the kernel takes no more", func() bool { return srv.Stats().Net.QueuedBytes > 0 })
			p.write(final(opPing, "p"))
			p.expectText(content)
			p.expect(opPong, "p")
			p.usable()
		})
	}
}
