package session

import (
	"fmt"
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
