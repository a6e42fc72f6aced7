package session

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"wsify/broker/redis"
	"wsify/internal/redistest"
	"wsify/internal/testtool"
)

// durableRedis is a Redis that loses nothing when it is killed, and is known for that if query says so.
func durableRedis(t *testing.T, query string) keeper {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	return keeper{t: t, driver: redis.Driver, scheme: "redis://", addr: s.Addr, query: query, stop: s.Stop, restart: s.Restart, forgets: query == ""}
}

// ledger is what became of the publications of one publisher: numbers, one after the other.
type ledger struct {
	acked   []int
	unknown map[int]bool // they may have been published
}

// publish publishes the numbers from first, in steps of two, until end is closed.
func (l *ledger) publish(t *testing.T, srv *Server, first int, end <-chan struct{}) {
	l.unknown = map[int]bool{}
	for n := first; ; n += 2 {
		select {
		case <-end:
			return
		default:
		}
		switch res := post(t, srv, "/broadcast", fmt.Sprintf(`{"channel":"h","content":%d}`, n)); res.status {
		case http.StatusCreated:
			l.acked = append(l.acked, n)
		case http.StatusServiceUnavailable:
			l.unknown[n] = true
		default:
			t.Errorf("publication %d: %d %s", n, res.status, res.body)
			return
		}
	}
}

// endMark is the last number that is published.
const endMark = -1

// listener is a member, and what it has heard.
type listener struct {
	*peer
	heard []int
	gaps  int
}

// listen reads messages until the last one.
func (l *listener) listen() {
	for {
		f, err := l.next()
		var m struct {
			Type    string
			Content int
		}
		if err == nil {
			err = json.Unmarshal([]byte(f.payload), &m)
		}
		switch {
		case err != nil:
			l.t.Errorf("after %d messages: %v", len(l.heard), err)
			return
		case m.Type == "gap":
			l.gaps++
		case m.Content == endMark:
			return
		default:
			l.heard = append(l.heard, m.Content)
		}
	}
}

// compare fails the test unless heard has what the publisher of odd or even numbers was told of, in
// order, each once.
func (l *ledger) compare(t *testing.T, who string, heard []int, odd int) {
	t.Helper()
	got := slices.DeleteFunc(slices.Clone(heard), func(n int) bool { return n%2 != odd || l.unknown[n] })
	if !slices.Equal(got, l.acked) {
		t.Errorf("%s heard %d of %d acknowledged publications, or in another order:\n%v\n%v", who, len(got), len(l.acked), got, l.acked)
	}
	for n := range l.unknown {
		if i := slices.Index(heard, n); i >= 0 && slices.Contains(heard[i+1:], n) {
			t.Errorf("%s heard %d twice", who, n)
		}
	}
}

// TestMembersMissNothingWhenADurableRedisIsKilled three times, while both nodes publish. Each member
// gets exactly what was acknowledged and, of what had an unknown outcome, the same as all others.
func TestMembersMissNothingWhenADurableRedisIsKilled(t *testing.T) {
	t.Parallel()
	e := durableRedis(t, "?durable=true")
	a, _ := e.node(10_000)
	b, _ := e.node(10_000)
	nodes := []*Server{a, b}
	var listening, publishing sync.WaitGroup
	var members [6]listener
	for i := range members {
		members[i].peer = connect(t, nodes[i%2], "/ws", "Sec-WebSocket-Protocol: wsify.v1")
		members[i].expectJoin("h", "", "", "joined")
		listening.Go(members[i].listen)
	}
	probe := connect(t, a, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
	probe.expectJoin("h", "", "", "joined")
	end := make(chan struct{})
	var ledgers [2]ledger
	for i := range ledgers {
		publishing.Go(func() { ledgers[i].publish(t, nodes[i], i, end) })
	}
	for range 3 {
		for range 50 { // until something is under way
			probe.expectPrefix(`{"type":"message"`)
		}
		e.kill(nodes)
	}
	probe.Close()
	close(end)
	publishing.Wait()
	post201(t, a, "h", fmt.Sprint(endMark))
	listening.Wait()
	for i, m := range members {
		who := fmt.Sprintf("member %d", i)
		ledgers[0].compare(t, who, m.heard, 0)
		ledgers[1].compare(t, who, m.heard, 1)
		if m.gaps > 0 || !slices.Equal(m.heard, members[0].heard) {
			t.Errorf("%s was told of %d gaps, and heard %d messages, member 0 %d", who, m.gaps, len(m.heard), len(members[0].heard))
		}
	}
	for _, srv := range nodes {
		if st := srv.Stats(); st.HistoryGaps != 0 {
			t.Errorf("%d gaps are counted", st.HistoryGaps)
		}
	}
}

// kill ends the engine, starts it again when the nodes have noticed, and waits for their links.
func (e keeper) kill(nodes []*Server) {
	e.t.Helper()
	e.stop()
	for _, srv := range nodes {
		testtool.Until(e.t, "the node has noticed", func() bool { return !srv.broker.Up() })
	}
	e.restart()
	for _, srv := range nodes {
		e.up(srv)
	}
}
