package session

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// TestTheMemoryIsJudged has the steps of one watch. In each, the memory is read, perhaps
// again after a collection, and the watch acts.
func TestTheMemoryIsJudged(t *testing.T) {
	var book testtool.Log
	var now, used, collected, limit int64 // seconds, and bytes: before and after a collection
	var acts []string
	busy := false
	w := memoryWatch{log: book.Logger()}
	w.read = func() (int64, int64) { return used, limit }
	w.collect = func() { acts, used = append(acts, "collect"), collected }
	w.close = func(excess int64) bool {
		acts = append(acts, fmt.Sprint("close ", excess))
		w.relieved.Store(!busy)
		return !busy
	}
	for _, step := range []struct {
		name            string
		after           int64 // seconds since the step before
		used, collected int64
		limit           int64
		busy            bool
		acts            []string
		full            bool
	}{
		{"below nine tenths", 1, 899, 0, 1000, false, nil, false},
		{"at nine tenths, most of it uncollected", 1, 900, 899, 1000, false, []string{"collect"}, false},
		{"again, and at once", 0, 1000, 500, 1000, false, []string{"collect"}, false},
		{"at nine tenths, all of it needed", 1, 999, 900, 1000, false, []string{"collect"}, true},
		{"a collection was futile just now", 4, 940, 0, 1000, false, nil, true},
		{"it cannot be read: nothing changes", 0, 0, 0, 0, false, nil, true},
		{"it sinks", 0, 899, 0, 1000, false, nil, false},
		{"the pause after the futile collection is over", 1, 990, 949, 1000, false, []string{"collect"}, true},
		{"at 95 %", 1, 950, 0, 1000, false, []string{"close 50"}, true},
		{"what was closed is collected at once", 0, 950, 880, 1000, false, []string{"collect"}, false},
		{"all is used", 0, 1000, 1000, 1000, false, []string{"collect", "close 100"}, true},
		{"connections are being closed", 0, 1000, 1000, 1000, true, []string{"collect", "close 100"}, true},
		{"they are still being closed", 0, 1000, 1000, 1000, true, []string{"close 100"}, true},
		{"below again", 0, 500, 0, 1000, false, nil, false},
	} {
		now += step.after
		used, collected, limit, busy, acts = step.used, step.collected, step.limit, step.busy, nil
		if near := w.judge(time.Unix(1_000_000+now, 0)); near != (used >= limit/100*75 && limit > 0) {
			t.Errorf("%s: near is %v", step.name, near)
		}
		if !slices.Equal(acts, step.acts) || w.full.Load() != step.full {
			t.Errorf("%s: %q, full %v; want %q, full %v", step.name, acts, w.full.Load(), step.acts, step.full)
		}
	}
	for _, want := range []string{"new clients are refused", "the connections that keep the most are closed"} {
		if !strings.Contains(book.String(), want) {
			t.Errorf("the log does not say %q: %s", want, book.String())
		}
	}
}

func TestUpgradesAreRefusedWhenMemoryIsShort(t *testing.T) {
	const limit = 1 << 30
	var used atomic.Int64
	srv := start(t, Config{Memory: func() (int64, int64) { return used.Load(), limit }})
	p := connect(t, srv, "/ws")
	full := func(want bool) {
		t.Helper()
		testtool.Until(t, fmt.Sprint("the node is full: ", want), func() bool { return (srv.Full() != "") == want })
	}
	used.Store(limit / 100 * 90)
	full(true)
	if why := srv.Full(); !strings.Contains(why, "-max-memory") {
		t.Errorf("full for %q", why)
	}
	upgradeRefused(t, srv, 503, "memory")
	p.join("a") // open sessions and backends go on
	post201(t, srv, "a", "1")
	p.expectText("1")
	used.Store(limit/100*90 - 1)
	full(false)
	connect(t, srv, "/ws").usable()
}

// When memory is nearly used up, the connection with the largest queue ends, and no more
// than are needed, also with -slow-policy drop.
func TestTheSlowestIsClosedWhenMemoryIsShort(t *testing.T) {
	const limit = 100 << 20
	var base atomic.Int64 // what is used besides the queues
	var srv *Server
	ready := make(chan struct{})
	srv, book := startLogged(t, Config{WriteQueueSize: 64 << 20, DropSlow: true, Memory: func() (int64, int64) {
		<-ready
		return base.Load() + srv.group.Queued(), limit
	}})
	close(ready)
	slow, names := slowMembers(t, srv, 3)
	quick := connect(t, srv, "/ws")
	content := `"` + strings.Repeat("x", 15<<10) + `"`
	fill := func(channel string, by int64) {
		for until := srv.group.Queued() + by; srv.group.Queued() < until; settle(t, srv) {
			quick.broadcast(channel, content)
		}
	}
	fill(names[0], 1<<20)
	fill(names[1], 6<<20)
	fill(names[2], 1<<20)
	base.Store(limit/100*95 - srv.group.Queued()) // 6 to 7 MiB more than may be
	gone := func(name string) bool { return srv.members(t, name) == 0 }
	testtool.Until(t, "the slowest is gone", func() bool { return gone(names[1]) })
	testtool.Until(t, "upgrades are allowed again", func() bool { return srv.Full() == "" })
	if gone(names[0]) || gone(names[2]) {
		t.Error("others ended, too")
	}
	f, err := slow[1].next()
	for ; err == nil && f.op == opText; f, err = slow[1].next() {
	}
	if err != nil || closeCode(f) != 4001 {
		t.Errorf("the slowest got %v, %v; want close 4001", f, err)
	}
	slow[1].expectEnd()
	testtool.Until(t, "it is counted", func() bool { return srv.Stats().Closed["memory"] == 1 })
	if !strings.Contains(book.String(), "memory is short: the connections that keep the most are closed") {
		t.Error("nothing was logged")
	}
	quick.usable()
}
