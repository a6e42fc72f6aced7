package session

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"wsify/internal/testtool"
)

// Bounds in bytes on the growth of heap and resident memory after churn. Pools remain, and
// slabs for the largest number of connections, which is a few hundred here.
const (
	churnHeap = 256 << 10
	churnRSS  = 32 << 20
)

// A life is the behavior of one connection from dialing to its end.
type life func(c rawClient, i int) error

// lives are all ways in which a connection is used and ends.
var lives = []life{
	func(c rawClient, i int) error { // leaves and closes in order
		if err := c.joins(i); err != nil {
			return err
		}
		own := fmt.Sprintf("own-%d", i)
		if err := c.write(message(`{"command":"leave","args":{"channel":"`+own+`"},"id":2}`) + closing(1000, "")); err != nil {
			return err
		}
		return c.readEnd()
	},
	func(c rawClient, i int) error { // a member resets
		err := c.joins(i)
		c.abort()
		return err
	},
	func(c rawClient, i int) error { // a member ends its side
		if err := c.joins(i); err != nil {
			return err
		}
		c.closeWrite()
		return c.readEnd()
	},
	func(c rawClient, i int) error { // a member publishes, then closes without a Close frame
		if err := c.joins(i); err != nil {
			return err
		}
		return c.write(message(`{"command":"broadcast","args":{"channel":"churn","content":"bye"}}`))
	},
	func(c rawClient, i int) error { // breaks the protocol
		if err := c.joins(i); err != nil {
			return err
		}
		if err := c.write("\x81\x01x"); err != nil {
			return err
		}
		return c.readEnd()
	},
	func(c rawClient, i int) error { // publishes over HTTP
		if err := c.write(postRequest("/broadcast", `{"channel":"churn","content":1}`, "Connection: close")); err != nil {
			return err
		}
		return c.readEnd()
	},
	func(c rawClient, i int) error { // reads a stream of events, and closes
		if err := c.write(streamHead("/sse?channel=churn&channel=own-" + fmt.Sprint(i))); err != nil {
			return err
		}
		_, err := c.readUntil("\n\n")
		return err
	},
	func(c rawClient, i int) error { // requests an unknown path, and does not wait
		return c.write("GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n")
	},
	func(c rawClient, i int) error { // closes inside the head
		return c.write(upgradeHead("/ws")[:50])
	},
	func(c rawClient, i int) error { // sends nothing
		c.abort()
		return nil
	},
}

// joins upgrades, then joins a channel of its own and a common one. It waits for the
// first ack only, because publications to the common channel may come at any time.
func (c rawClient) joins(i int) error {
	if err := c.upgrade(); err != nil {
		return err
	}
	own := fmt.Sprintf(`{"command":"join","args":{"channel":"own-%d"},"id":1}`, i)
	if err := c.write(message(own)); err != nil {
		return err
	}
	if _, err := c.readUntil(`{"id":1,"ok":true}`); err != nil {
		return err
	}
	return c.write(message(`{"command":"join","args":{"channel":"churn"}}`))
}

// churn runs n lives, eight at a time, and waits until the server has no connection left.
func churn(t *testing.T, srv *Server, n int) {
	t.Helper()
	inParallel(t, 8, n, func(worker, i int) error {
		c, err := dialRaw(srv.Addr(), worker+1)
		if err != nil {
			return err
		}
		defer c.close()
		if err := lives[i%len(lives)](c, i); err != nil {
			return fmt.Errorf("life %d: %w", i%len(lives), err)
		}
		return nil
	})
	idle(t, srv, 0, 0, 0)
}

// All resources of a connection are free after its end, however it ended (I13).
func TestChurnLeavesNothing(t *testing.T) {
	srv := startOn(t, anyAddr, Config{})
	churn(t, srv, 2000)
	fds, goroutines, heapBefore, rssBefore := len(testtool.Descriptors()), runtime.NumGoroutine(), testtool.Heap(), rss(t)
	churn(t, srv, unlessRace(25_000, 5_000))
	testtool.Until(t, "descriptors and goroutines are back at the baseline", func() bool {
		return len(testtool.Descriptors()) <= fds && runtime.NumGoroutine() <= goroutines
	})
	if grown := testtool.Heap() - heapBefore; grown > churnHeap {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, churnHeap)
	}
	if grown := rss(t) - rssBefore; grown > churnRSS && !raceEnabled {
		t.Errorf("resident memory grew by %d bytes, want at most %d", grown, churnRSS)
	}
	st := srv.Stats()
	var closed uint64
	for _, n := range st.Closed {
		closed += n
	}
	if st.Accepted != closed {
		t.Errorf("%d accepted, %d ended: %v", st.Accepted, closed, st.Closed)
	}
	t.Logf("heap %+d, resident %+d bytes, %v", testtool.Heap()-heapBefore, rss(t)-rssBefore, st.Closed)
}

// A connection joins and leaves many channels, again and again. The hub gives the memory
// back.
func TestMembershipChurnLeavesNothing(t *testing.T) {
	const channels = 100
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	names := make([]string, channels)
	before := int64(0)
	for round := range unlessRace(200, 30) {
		for i := range names {
			names[i] = fmt.Sprintf("%d-%d", round, i)
		}
		p.join(names...)
		p.leave(names...)
		if round == 10 {
			before = testtool.Heap()
		}
	}
	idle(t, srv, 1, 0, 0)
	if grown := testtool.Heap() - before; grown > churnHeap {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, churnHeap)
	}
}

// A shutdown during churn ends all connections in time, also new ones, and leaks
// nothing.
func TestShutdownDuringChurnLeavesNothing(t *testing.T) {
	for range unlessRace(20, 5) {
		srv := startOn(t, anyAddr, Config{})
		srv.drain = patience
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := worker; ; i += 8 {
					c, err := dialRaw(srv.Addr(), worker+1)
					if err != nil {
						return // the listener is closed
					}
					_ = lives[i%len(lives)](c, i) // an error is fine: it may be refused or cut off now
					c.close()
				}
			})
		}
		testtool.Until(t, "churn", func() bool { return srv.Stats().Accepted > 200 })
		if err := srv.Shutdown(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if st := srv.Stats(); st.Closed["stopped"] > 0 || st.Subscriptions > 0 || st.Net.Connections > 0 {
			t.Errorf("%d subscriptions, %d connections, closed %v; want nothing left, and nothing cut off", st.Subscriptions, st.Net.Connections, st.Closed)
		}
	}
}
