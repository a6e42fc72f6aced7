package session

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"wsify/broker"
	"wsify/netpoll"
)

// publishBut publishes content that some connections do not get.
func publishBut(t *testing.T, srv *Server, channel, content string, except ...string) {
	t.Helper()
	p := append(broker.AppendHead(nil, &broker.Head{Except: except}), content...)
	if _, _, err := srv.broker.Publish(nil, []byte(channel), p, nil); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// Publications that leave members out are delivered joined, to members of one channel and of two, on
// two loops. Each member gets exactly those that do not leave it out, in order.
func TestAMemberGetsAllThatDoesNotLeaveItOut(t *testing.T) {
	for _, channels := range [][]string{{"a"}, {"a", "b"}} {
		t.Run(fmt.Sprint(channels), func(t *testing.T) {
			srv := start(t, Config{Loops: 2})
			random := rand.New(rand.NewPCG(1, 2))
			members, ids := make([]*peer, 6), make([]string, 6)
			for i := range members {
				members[i] = connect(t, srv, "/ws")
				members[i].join(channels...)
				ids[i] = idOf(t, srv, members[i])
			}
			want := make([][]string, len(members))
			first, second := holdLoop(t, srv.loops[0]), holdLoop(t, srv.loops[1])
			for n := range 100 {
				content, except := fmt.Sprint(n), []string{"0123456789abcdef-1", "none"} // of another node, and of nobody
				for i := range members {
					if random.IntN(3) == 0 {
						except = append(except, ids[i])
					} else {
						want[i] = append(want[i], content)
					}
				}
				publishBut(t, srv, "a", content, except...)
			}
			first()
			second()
			sent := 0
			for i, p := range members {
				p.expectText(want[i]...)
				p.expectNothing()
				sent += len(want[i])
			}
			settle(t, srv)
			answers := len(members) * len(channels)
			if got := srv.Stats().Sent; got != uint64(sent+answers) {
				t.Errorf("%d messages are counted as sent, want %d", got, sent+answers)
			}
		})
	}
}

// A member that leaves is sent what it is owed, without what leaves it out.
func TestWhatIsOwedLeavesOutToo(t *testing.T) {
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	p.join("a")
	id := idOf(t, srv, p)
	l := srv.loops[0]
	onLoop(t, l, func() {
		publishBut(t, srv, "a", "1")
		publishBut(t, srv, "a", "2", id)
		publishBut(t, srv, "a", "3")
		l.net.Each(func(c *netpoll.Conn) { l.leaveChannel(c, l.session(c), []byte("a")) })
	})
	p.expectText("1", "3")
	p.expectNothing()
}

// With nobody left, nothing is sent.
func TestAPublicationThatLeavesOutTheOnlyMember(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("a")
	publishBut(t, srv, "a", "1", idOf(t, srv, p))
	publishBut(t, srv, "a", "2")
	p.expectText("2")
}

// Members of every class are left out alike: raw, envelope, compressed, and a stream.
func TestEachClassLeavesOutItsOwn(t *testing.T) {
	srv := start(t, deflating())
	channel, long := "a", jsonOf(2<<10)
	both := func() (in, out *peer) { return connect(t, srv, "/ws"), connect(t, srv, "/ws") }
	raw, rawOut := both()
	raw.join(channel)
	rawOut.join(channel)
	typed, typedOut := connectTyped(t, srv, "/ws", channel), connectTyped(t, srv, "/ws", channel)
	small, smallOut := connectDeflated(t, srv, "/ws"), connectDeflated(t, srv, "/ws")
	small.join(channel)
	smallOut.join(channel)
	events, eventsOut := openStream(t, srv, "/sse?channel=a"), openStream(t, srv, "/sse?channel=a")
	except := []string{idOf(t, srv, rawOut), idOf(t, srv, typedOut), idOf(t, srv, smallOut), idOf(t, srv, eventsOut.peer)}
	for _, content := range []string{"1", long} {
		publishBut(t, srv, channel, content, except...)
	}
	publishBut(t, srv, channel, "2")
	object := func(content string) string { return `"channel":"a","content":` + content + `}` }
	for _, p := range []*peer{raw, rawOut} {
		if p == raw {
			p.expectText("1", long)
		}
		p.expectText("2")
	}
	for _, p := range []*peer{typed, typedOut} {
		if p == typed {
			p.expectText(`{"type":"message",`+object("1"), `{"type":"message",`+object(long))
		}
		p.expectText(`{"type":"message",` + object("2"))
	}
	for _, p := range []*peer{small, smallOut} {
		if p == small {
			p.expectDeflated(false, "1")
			p.expectDeflated(true, long)
		}
		p.expectDeflated(false, "2")
	}
	events.expectEvents("{"+object("1"), "{"+object(long), "{"+object("2"))
	eventsOut.expectEvents("{" + object("2"))
}
