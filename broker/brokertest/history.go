package brokertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/broker"
)

// HistoryRig is an engine that keeps history.
type HistoryRig struct {
	Open  Open
	Nodes int // how many nodes can share it

	Misses bool // a node may miss publications while it is subscribed

	// Server is the address of the engine's server, and OpenAt opens a broker at another address that
	// leads there; without an engine, they are empty.
	Server string
	OpenAt func(addr string) Open

	// Restart ends the engine without a warning and starts it again; nil without an engine.
	Restart func()
}

// Keeping returns a Config with which channels whose names begin with h keep so many publications.
func Keeping(size int, ttl time.Duration) broker.Config {
	return broker.Config{History: &broker.History{
		Match: func(channel string) bool { return strings.HasPrefix(channel, "h") },
		Size:  size, TTL: ttl, Memory: 64 << 20,
	}}
}

// History tests what every broker promises of history.
func History(t *testing.T, open func(t *testing.T) *HistoryRig) {
	for name, test := range map[string]func(t *testing.T, r *HistoryRig){
		"each publication has a position and names the one before": positionsFollow,
		"what was published after a position is read in order":     readsAfter,
		"the newest are read":                                readsLast,
		"a channel without publications has a position":      readsFromNothing,
		"what is not kept any more is not passed over":       trimmed,
		"what has expired is not passed over":                expired,
		"a position of something else is noticed":            foreign,
		"a head is kept":                                     keepsHeads,
		"every node has one order, and history has it too":   OneOrder,
		"nothing is passed over when the engine starts anew": restarted,
		"nothing is missed by a node that was cut off":       cutOff,
		"names do not matter":                                anyName,
		"other channels keep nothing":                        keepsNothing,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func contentsOf(all []broker.Entry) (contents []string) {
	for _, e := range all {
		contents = append(contents, string(e.Content))
	}
	return contents
}

// expectPage fails the test unless a page is complete and has these numbers, from the first to the
// last one.
func expectPage(t *testing.T, what string, p broker.Page, tail broker.Position, first, last int) {
	t.Helper()
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprint(i))
	}
	if got := contentsOf(p.Entries); !p.Complete || p.Tail != tail || !slices.Equal(got, want) {
		t.Errorf("%s: %q up to %q, complete: %t; want %q up to %q", what, got, p.Tail, p.Complete, want, tail)
	}
	if n := len(p.Entries); n > 0 && p.Entries[n-1].Head.Position != tail {
		t.Errorf("%s: the last is at %q, want %q", what, p.Entries[n-1].Head.Position, tail)
	}
}

// expectGap fails the test unless a page says that something may be missing, and has all that is
// kept: the numbers from first to last.
func expectGap(t *testing.T, what string, p broker.Page, tail broker.Position, first, last int) {
	t.Helper()
	if p.Complete {
		t.Errorf("%s: it is complete", what)
	}
	p.Complete = true
	expectPage(t, what, p, tail, first, last)
}

func positionsFollow(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	n.Join("h")
	at := n.places("h", 5)
	n.Until("five came", func() bool { return len(n.Contents("h")) == 5 })
	for i, e := range n.Heard("h") {
		if e.Head.Position != at[i+1] || e.Head.Prev != at[i].Offset || string(e.Content) != fmt.Sprint(i+1) {
			t.Errorf("publication %d has %q, a head %+v; want a position %q behind %q", i+1, e.Content, e.Head, at[i+1], at[i])
		}
		if at[i+1].Epoch != at[0].Epoch || at[i+1].Offset <= at[i].Offset {
			t.Errorf("publication %d is at %q, behind %q", i+1, at[i+1], at[i])
		}
	}
}

func readsAfter(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	at := n.places("h", 5)
	for i, p := range at {
		expectPage(t, "after "+p.String(), n.Read("h", p, 0), at[5], i+1, 5)
	}
	expectPage(t, "only the tail", n.Read("h", broker.Position{}, 0), at[5], 1, 0)
}

func readsLast(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(4, time.Hour))
	at := n.places("h", 6)
	expectPage(t, "the last", n.Read("h", broker.Position{}, 1), at[6], 6, 6)
	expectPage(t, "the last three", n.Read("h", broker.Position{}, 3), at[6], 4, 6)
	expectPage(t, "more than there are", n.Read("h", broker.Position{}, 1000), at[6], 3, 6)
	if empty := n.Read("h empty", broker.Position{}, 10); len(empty.Entries) > 0 || !empty.Complete {
		t.Errorf("of nothing: %+v", empty)
	}
}

func readsFromNothing(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	n.places("h other", 3)
	at := n.places("h", 0)
	expectPage(t, "nothing is new", n.Read("h", at[0], 0), n.Read("h", broker.Position{}, 0).Tail, 1, 0)
	first := n.Place("h", "1")
	expectPage(t, "the first is new", n.Read("h", at[0], 0), first, 1, 1)
}

func trimmed(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(3, time.Hour))
	at := n.places("h", 5)
	expectGap(t, "four behind", n.Read("h", at[1], 0), at[5], 3, 5)
	expectPage(t, "three behind", n.Read("h", at[2], 0), at[5], 3, 5)
	expectGap(t, "from the begin", n.Read("h", at[0], 0), at[5], 3, 5)
	expectPage(t, "nothing behind", n.Read("h", at[5], 0), at[5], 1, 0)
}

func expired(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, 300*time.Millisecond))
	at := n.places("h", 3)
	n.Until("all have expired", func() bool { return len(n.Read("h", broker.Position{}, 10).Entries) == 0 })
	for i := range 3 {
		if p := n.Read("h", at[i], 0); p.Complete {
			t.Errorf("after %q: %q up to %q, complete", at[i], contentsOf(p.Entries), p.Tail)
		}
	}
	expectPage(t, "nothing was missed", n.Read("h", at[3], 0), at[3], 1, 0)
	next := n.Place("h", "4")
	expectPage(t, "the next", n.Read("h", at[3], 0), next, 4, 4)
}

func foreign(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	at := n.places("h", 3)
	other := n.places("h other", 1)[1]
	tail := n.Place("h", "4")
	for _, p := range []broker.Position{
		{Epoch: "0", Offset: at[2].Offset}, {Epoch: tail.Epoch + "x", Offset: at[2].Offset}, {Epoch: tail.Epoch, Offset: other.Offset + tail.Offset + 1},
		{Epoch: tail.Epoch, Offset: 1<<64 - 1}, {Epoch: "zzzzzzzzzzzzzzzzzzzz", Offset: 1<<64 - 1},
	} {
		expectGap(t, "after "+p.String(), n.Read("h", p, 0), tail, 1, 4)
	}
	// An engine with one sequence for all channels reads after another channel's position what it says.
	if p := n.Read("h", other, 0); p.Tail != tail || p.Complete && !slices.Equal(contentsOf(p.Entries), []string{"4"}) {
		t.Errorf("after another channel's position: %q up to %q, complete: %t", contentsOf(p.Entries), p.Tail, p.Complete)
	}
}

func keepsHeads(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	n.Join("h")
	head := broker.Head{User: "ann\n\"é", Except: []string{"a", "b"}}
	n.Place("h", string(broker.AppendHead(nil, &head))+"1")
	n.Place("h", "")
	n.Until("both came", func() bool { return len(n.Contents("h")) == 2 })
	for what, all := range map[string][]broker.Entry{"heard": n.Heard("h"), "read": n.Read("h", broker.Position{}, 9).Entries} {
		if len(all) != 2 || string(all[0].Content) != "1" || len(all[1].Content) > 0 || all[0].Head.User != head.User || !slices.Equal(all[0].Head.Except, head.Except) || all[1].Head.User != "" {
			t.Errorf("%s: %+v", what, all)
		}
	}
}

// OneOrder is the part of History for engines whose nodes may miss publications: nodes publish to two channels at once. History has all of it, and each node hears what
// history has.
func OneOrder(t *testing.T, r *HistoryRig) {
	const publishers, each = 4, 100
	var nodes []*Node
	for range r.Nodes {
		n := Up(t, r.Open, Keeping(publishers*each, time.Hour))
		n.Join("h", "h other")
		nodes = append(nodes, n)
	}
	began := nodes[0].Read("h", broker.Position{}, 0).Tail
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() { nodes[p%len(nodes)].publishAll([]string{"h", "h other"}, p, each) })
	}
	publishing.Wait()
	read := nodes[0].Read("h", began, 0)
	if len(read.Entries) != publishers*each || !read.Complete {
		t.Fatalf("%d are read, complete: %t; want %d", len(read.Entries), read.Complete, publishers*each)
	}
	prev := began.Offset
	for i, e := range read.Entries {
		if e.Head.Prev != prev || e.Head.Position.Epoch != began.Epoch {
			t.Fatalf("publication %d has the head %+v, behind %d", i, e.Head, prev)
		}
		prev = e.Head.Position.Offset
	}
	for _, n := range nodes {
		n.hears("h", read.Entries, r.Misses)
	}
}

func restarted(t *testing.T, r *HistoryRig) {
	if r.Restart == nil {
		t.Skip("it has no engine")
	}
	n := Up(t, r.Open, Keeping(100, time.Hour))
	n.Join("h", "plain")
	at := n.places("h", 3)
	n.Until("three came", func() bool { return len(n.Contents("h")) == 3 })
	if told := n.Resumed(); len(told) > 0 {
		t.Errorf("publications may have been missed before: %q", told)
	}
	r.Restart()
	var next broker.Position
	n.Until("it publishes again", func() bool {
		outcome := make(chan bool, 1)
		pending, _, _ := n.Publish([]byte("h"), []byte("4"), func(r broker.Receipt, err error) {
			next = r.Position
			outcome <- err == nil
		})
		return pending && <-outcome
	})
	if told := n.Resumed(); !slices.Contains(told, "h after 3") || slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "plain") }) {
		t.Errorf("publications may have been missed: %q, want those of h only, once it has three", told)
	}
	if slices.Contains(at, next) {
		t.Errorf("%q is the position of two publications", next)
	}
	for i, p := range at {
		page := n.Read("h", p, 0)
		if !page.Complete {
			kept := n.Read("h", broker.Position{}, 10) // all, or what came after the engine had lost it
			expectGap(t, "after "+p.String(), page, next, 5-len(kept.Entries), 4)
		} else {
			expectPage(t, "after "+p.String(), page, next, i+1, 4)
		}
	}
}

func anyName(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	for _, channel := range []string{
		"h", "h{a}b", "h{}b", "h{", "h}", "h}{", "h{a}{b}", "h {é} \u2028", "h*", "h.b", "h..b", "h>", "h%", "h\x01\n", "h" + strings.Repeat("{", 254), "h" + strings.Repeat("é", 127),
	} {
		at := n.places(channel, 2)
		expectPage(t, channel, n.Read(channel, at[0], 0), at[2], 1, 2)
	}
}

func keepsNothing(t *testing.T, r *HistoryRig) {
	n := Up(t, r.Open, Keeping(100, time.Hour))
	n.Join("plain")
	if p := n.Place("plain", "1"); p != (broker.Position{}) {
		t.Errorf("its position is %q", p)
	}
	n.Expect("plain", "1")
	if page, err := n.Broker.(broker.Historian).ReadHistory(t.Context(), "plain", broker.Position{}, 1); err != broker.ErrNoHistory {
		t.Errorf("ReadHistory = %+v, %v; want %v", page, err, broker.ErrNoHistory)
	}
}
