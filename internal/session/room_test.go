package session

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"wsify/internal/testtool"
)

// Publishers that wait for room in a channel go on in order, when there is room for
// them. Each tries once when its message arrives, and once in its turn.
func TestEachPublisherTriesTwiceAtMost(t *testing.T) {
	t.Parallel()
	n := 6000
	if testing.Short() || raceEnabled {
		n = 600
	}
	b := &testBroker{}
	srv := startWith(t, Config{WriteQueueSize: n * 80}, b) // with the kernel's buffers, room for all: member may read slowly
	member := connect(t, srv, "/ws")
	_ = member.Conn.(*net.TCPConn).SetReadBuffer(1 << 20)
	far := loopOf(t, srv, member)
	member.join("c")
	publishers := connectMany(t, srv, n)
	release := holdLoop(t, far) // so member gets nothing
	content := strings.Repeat("x", 80)
	for i, p := range publishers {
		p.send(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":"%d %s"}}`, i, content))
	}
	testtool.Until(t, "publishers wait for room", func() bool {
		for _, l := range srv.loops {
			if l != far && l.sessionsIn(t, parked) >= n/4 {
				return true
			}
		}
		return false
	})
	release()
	heard := make(map[string]bool)
	for range n {
		f, err := member.next()
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(heard), n, err)
		}
		heard[f.payload] = true
	}
	if len(heard) != n {
		t.Errorf("%d different publications, want %d", len(heard), n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Log(b.tried, "tries")
	if b.tried != n {
		t.Errorf("%d calls of Publish without room for %d publications", b.tried-n, n)
	}
}

// connectMany connects n peers, several at a time.
func connectMany(t *testing.T, srv *Server, n int) []*peer {
	t.Helper()
	peers := make([]*peer, n)
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for i := k; i < n; i += 8 {
				peers[i] = connect(t, srv, "/ws")
			}
		})
	}
	all.Wait()
	return peers
}

// Publishers that disconnect while they wait for room do not delay those after them.
func TestPublishersThatDisconnectDelayNoOther(t *testing.T) {
	t.Parallel()
	const n = 200
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	member := connect(t, srv, "/ws")
	far := loopOf(t, srv, member)
	member.join("c")
	publishers := make([]*peer, n)
	for i := range publishers {
		publishers[i] = connectTo(t, srv, other(srv, far))
	}
	near := loopOf(t, srv, publishers[0])
	release := holdLoop(t, far)
	for i, p := range publishers {
		p.send(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":%s},"id":%d}`, numbered(i), i))
	}
	waiting := func() int { return near.sessionsIn(t, parked) }
	testtool.Until(t, "they wait", func() bool { return waiting() >= n-2 })
	for i := 0; i < n; i += 2 {
		publishers[i].reset()
	}
	testtool.Until(t, "half of them are gone", func() bool { return waiting() <= n/2 })
	release()
	for i := 1; i < n; i += 2 {
		publishers[i].expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i))
	}
	if ch := []byte("c"); srv.hub.Busy(ch, 1) {
		testtool.Until(t, "the channel has room", func() bool { return !srv.hub.Busy(ch, 1) })
	}
}
