package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// names are the channels on all pages of this size.
func names(srv *Server, prefix string, limit int) (all []string, pages int) {
	after := ""
	for {
		page, more := srv.ListChannels(prefix, after, limit)
		pages++
		for _, ch := range page {
			all = append(all, fmt.Sprintf("%s %d", ch.Name, ch.Members))
		}
		if !more {
			return all, pages
		}
		after = page[len(page)-1].Name
	}
}

func TestChannelsAreListedByNameInPages(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{MaxChannelsPerConnection: 1000})
	a, b := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	var want, rooms []string
	for i := range 50 {
		name := fmt.Sprintf("room:%02d", i)
		a.join(name, "other"+name)
		b.join(name)
		rooms = append(rooms, name+" 2")
		want = append(want, "other"+name+" 1", name+" 2")
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 49, 50, 99, 100, 1000} {
		if got, pages := names(srv, "", limit); !slices.Equal(got, want) || pages != (len(want)+limit-1)/limit {
			t.Errorf("in pages of %d: %d pages with %q, want %q", limit, pages, got, want)
		}
		if got, _ := names(srv, "room:", limit); !slices.Equal(got, rooms) {
			t.Errorf("with a prefix in pages of %d: %q, want %q", limit, got, rooms)
		}
	}
	if got, _ := names(srv, "nothing", 10); len(got) != 0 {
		t.Errorf("with a prefix that no channel has: %q", got)
	}
	if n := srv.Members("room:07"); n != 2 {
		t.Errorf("room:07 has %d members, want 2", n)
	}
	if n := srv.Members("room:"); n != 0 {
		t.Errorf("room: has %d members, want none", n)
	}
}

// listed returns the connections on all pages of this size.
func listed(t *testing.T, srv *Server, f ConnFilter, limit int) (all []ConnInfo) {
	t.Helper()
	after := ""
	for {
		page, more, err := srv.ListConnections(t.Context(), f, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); !more {
			return all
		}
		after = page[len(page)-1].ID
	}
}

func TestConnectionsAreListedInPages(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 3})
	var want []string // addresses
	for i := range 40 {
		p := connect(t, srv, "/ws")
		if p.join("all"); i%4 == 0 {
			p.join("some")
		}
		want = append(want, p.LocalAddr().String())
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 39, 40, 41} {
		var got []string
		for _, c := range listed(t, srv, ConnFilter{}, limit) {
			got = append(got, c.Address)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q, want %q", limit, got, want)
		}
	}
	for f, want := range map[ConnFilter]int{
		{Channel: "all"}: 40, {Channel: "some"}: 10, {Channel: "none"}: 0,
		{Address: netip.MustParsePrefix("127.0.0.0/8")}: 40, {Address: netip.MustParsePrefix("127.0.0.1/32")}: 40,
		{Address: netip.MustParsePrefix("127.0.0.2/32")}: 0, {Address: netip.MustParsePrefix("::/0")}: 0,
		{Channel: "some", Address: netip.MustParsePrefix("127.0.0.1/32")}: 10,
	} {
		if got := len(listed(t, srv, f, 7)); got != want {
			t.Errorf("%+v: %d connections, want %d", f, got, want)
		}
	}
}

func TestAConnectionIsDescribed(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect"}})
	before := time.Now()
	p := connect(t, srv, "/ws")
	p.join("b", "a")
	id := hook.questions("connect")[0].header.Get("X-Wsify-Connection")
	got, err := srv.Connection(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Address != p.LocalAddr().String() || got.Channels != 2 || got.State != "open" || got.Queued != 0 || !slices.Equal(got.Names, []string{"a", "b"}) {
		t.Errorf("got %+v", got)
	}
	if d := got.Since.Sub(before).Abs(); d > patience || got.Idle < 0 || got.Idle > patience.Seconds() {
		t.Errorf("since %v (connected at %v), idle for %v s", got.Since, before, got.Idle)
	}
	if all := listed(t, srv, ConnFilter{}, 10); len(all) != 1 || all[0].ID != id || all[0].Names != nil {
		t.Errorf("listed as %+v", all)
	}
	dial(t, srv) // sends nothing
	if all := listed(t, srv, ConnFilter{}, 10); len(all) < 1 || len(all) > 2 {
		t.Errorf("listed as %+v", all)
	}
}

// Each client is of a protocol. One that has sent no whole head, and a backend, are of none.
func TestOperatorsSeeTheProtocolOfEachConnection(t *testing.T) {
	t.Parallel()
	srv := start(t, deflating())
	const typed = "Sec-WebSocket-Protocol: wsify.v1"
	connect(t, srv, "/ws").join("websocket")
	connectTyped(t, srv, "/ws", "wsify.v1")
	connectDeflated(t, srv, "/ws").join("websocket compressed")
	p := connectDeflated(t, srv, "/ws", typed)
	p.send(`{"command":"join","args":{"channel":"wsify.v1 compressed"},"id":1}`)
	p.expectText(`{"type":"reply","id":1,"ok":true}`)
	openStream(t, srv, "/sse?channel=sse")
	for _, of := range []string{"websocket", "wsify.v1", "websocket compressed", "wsify.v1 compressed", "sse"} {
		all := listed(t, srv, ConnFilter{Channel: of}, 10)
		if len(all) != 1 {
			t.Fatalf("%s: listed as %+v", of, all)
		}
		got := all[0].Protocol
		if all[0].Compressed {
			got += " compressed"
		}
		if got != of {
			t.Errorf("it is %q, want %q", got, of)
		}
	}
	post201(t, srv, "sse", "1")
	dial(t, srv).write("GET /ws HTTP/1.1\r\n")
	for _, info := range listed(t, srv, ConnFilter{}, 10) {
		if (info.State == "open") != (info.Protocol != "") {
			t.Errorf("in state %s it is of the protocol %q", info.State, info.Protocol)
		}
	}
}

// Ids of other nodes, of connections that have ended, and things that are no ids.
func TestAnIDThatIsNotHereIsNotFound(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	id := listed(t, srv, ConnFilter{}, 1)[0].ID
	p.write(closing(1000, ""))
	p.expectClose(1000)
	if err := awaitGone(t, srv, id); !errors.Is(err, ErrForeign) {
		t.Errorf("after its end: %v", err)
	}
	for _, name := range []string{
		"", "x", id + "0", strings.ToUpper(id) + "A", srv.name, srv.name + "ffffffffffffffff", srv.name + "0", srv.name + "+1", srv.name + "00000001",
		"0123456789abcdef-100000001", strings.Repeat("f", 10_000), srv.name + "0000000000000000000001",
	} {
		if _, err := srv.Connection(t.Context(), name); !errors.Is(err, ErrForeign) {
			t.Errorf("Connection(%.40q) = %v, want ErrForeign", name, err)
		}
		if _, _, err := srv.ListConnections(t.Context(), ConnFilter{}, name, 1); name != "" && !errors.Is(err, ErrForeign) && !strings.HasPrefix(name, srv.name) {
			t.Errorf("ListConnections after %.40q: %v, want ErrForeign", name, err)
		}
	}
}

// awaitGone asks for a connection until it has ended.
func awaitGone(t *testing.T, srv *Server, id string) error {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		if _, err := srv.Connection(t.Context(), id); err != nil || time.Now().After(end) {
			return err
		}
	}
}

func TestALoopThatHangsIsNamed(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 2})
	var ids []string
	for len(ids) < 2 {
		connect(t, srv, "/ws")
		ids = ids[:0]
		for _, c := range listed(t, srv, ConnFilter{}, 100) {
			if c.Loop == 1 {
				ids = append(ids, c.ID)
			}
		}
	}
	release := holdLoop(t, srv.loops[1])
	untilLoop1IsNamed(t, func(ctx context.Context) error {
		_, _, err := srv.ListConnections(ctx, ConnFilter{}, "", 10)
		return err
	})
	untilLoop1IsNamed(t, func(ctx context.Context) error {
		_, err := srv.Connection(ctx, ids[0])
		return err
	})
	release()
}

// untilLoop1IsNamed does with little time what loop 1 holds up. On a busy machine the other loop can
// be late, too: then it is done again.
func untilLoop1IsNamed(t *testing.T, do func(context.Context) error) {
	t.Helper()
	testtool.Until(t, "loop 1 alone is late", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := do(ctx)
		if _, late := errors.AsType[*LateError](err); !late {
			t.Fatalf("%v, want a LateError", err)
		}
		return err.Error() == "not done in time by event loop 1"
	})
}

// A walk gives other tasks of the loop their turn, and each of its own turns is short.
func TestAWalkIsDoneInShortTurns(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1})
	for range 3 * walkStep {
		connect(t, srv, "/ws")
	}
	l := srv.loops[0]
	visits, tasks := 0, 0
	seen := map[uint64]bool{}
	var count func()
	running := true
	count = func() {
		if tasks++; running {
			l.net.Post(count)
		}
	}
	l.net.Post(count)
	err := srv.walk(t.Context(), t.Context(), fromTheStart, func(l *loop, c *netpoll.Conn, _ *session) bool {
		visits++
		seen[c.ID()] = true
		for begun := time.Now(); time.Since(begun) < 50*time.Microsecond; {
		}
		return true
	})
	var between int
	onLoop(t, l, func() { running, between = false, tasks })
	if err != nil || visits != 3*walkStep || len(seen) != visits || between < 3 {
		t.Errorf("%v; %d visits of %d connections, with %d other tasks; want %d, each once, with others between", err, visits, len(seen), between, 3*walkStep)
	}
}
