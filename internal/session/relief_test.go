package session

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// wholeMessage is a message of 60 KB that is no command.
var wholeMessage = masked(0x80|opText, strings.Repeat("x", 60_000))

// relieve closes connections that keep as much as excess, and waits until that is done.
func relieve(t *testing.T, srv *Server, excess int64) {
	t.Helper()
	if !srv.relieveMemory(context.Background(), excess) {
		t.Fatal("connections are being closed already")
	}
	testtool.Until(t, "it is done", func() bool { return !srv.watch.closing.Load() })
}

// Whatever a connection keeps counts: those that keep the most end first, and no more than are
// needed.
func TestTheConnectionsThatKeepTheMostAreClosedFirst(t *testing.T) {
	srv := start(t, Config{MaxHeadSize: 32 << 10})
	message, body, member, head, idle := connect(t, srv, "/ws"), dial(t, srv), connect(t, srv, "/ws"), dial(t, srv), connect(t, srv, "/ws")
	message.write(wholeMessage[:50_000])
	body.write(postRequest("/broadcast", strings.Repeat("x", 50_000))[:40_000])
	for i := range 50 {
		member.join(fmt.Sprint("channel ", i))
	}
	head.write("GET /ws HTTP/1.1\r\nA: " + strings.Repeat("x", 10_000))
	kept := func() (n int64) {
		for _, l := range srv.loops {
			onLoop(t, l, func() {
				for i := range l.net.Slots() {
					if c := l.net.ConnAt(i); c.Open() {
						n += l.keeps(c, l.session(c))
					}
				}
			})
		}
		return n
	}
	testtool.Until(t, "all is read", func() bool { return kept() > 5*connectionPrice+50*membershipPrice+100_000 })
	relieve(t, srv, 1)
	message.expectClose(1013)
	relieve(t, srv, 1)
	body.expectStatus(503)
	relieve(t, srv, 1)
	member.expectClose(1013)
	relieve(t, srv, 1)
	head.expectStatus(503)
	for _, p := range []*peer{message, member} {
		_ = p.Close()
	}
	testtool.Until(t, "they are counted", func() bool {
		st := srv.Stats()
		return st.Closed["memory"] == 4 && st.Rejected["memory"] == 1 && st.Unpublished["memory"] == 1
	})
	idle.usable()
}

// When all keep little, the last ones end, and never many at once: the memory may be somebody else's.
func TestOfEqualConnectionsASixteenthIsClosed(t *testing.T) {
	srv := start(t, Config{Loops: 1})
	var all [32]*peer
	for i := range all {
		all[i] = connect(t, srv, "/ws")
	}
	relieve(t, srv, 1<<40)
	for _, p := range all[30:] {
		p.expectClose(1013)
		_ = p.Close()
	}
	for _, p := range all[:30] {
		p.expectNothing()
	}
	testtool.Until(t, "two are counted", func() bool { return srv.Stats().Closed["memory"] == 2 })
}

func TestClassesOfSizesAreOrdered(t *testing.T) {
	if class := classOf(1<<63 - 1); class >= numClasses {
		t.Fatal("the largest size has class ", class)
	}
	last := 0
	for size := int64(0); size < 1<<20; size++ {
		class := classOf(size)
		if class != last && class != last+1 {
			t.Fatalf("%d has class %d, and the size below it %d", size, class, last)
		}
		last = class
	}
}

// watched starts a node. use says how many thousandths of its memory, a gigabyte, are in use.
func watched(t *testing.T) (srv *Server, use func(thousandths int64)) {
	t.Helper()
	const limit = 1_000_000_000
	var used, reads atomic.Int64
	srv = start(t, Config{Memory: func() (int64, int64) {
		reads.Add(1)
		return used.Load(), limit
	}})
	return srv, func(thousandths int64) {
		t.Helper()
		used.Store(limit / 1000 * thousandths)
		seen := reads.Load() + 4 // one look may read twice, and the one in progress may have read before
		testtool.Until(t, "the memory is read", func() bool { return reads.Load() >= seen })
	}
}

// From nine tenths on, new clients get their answer before their head is complete. Others go on.
func TestAnUnfinishedHeadIsRefusedWhenMemoryIsShort(t *testing.T) {
	srv, use := watched(t)
	open, head, body := connect(t, srv, "/ws"), dial(t, srv), dial(t, srv)
	use(900)
	head.write("GET /ws HT")
	if res := head.expectStatus(503); res.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	head.expectEnd()
	request := postRequest("/broadcast", `{"channel":"a","content":1}`)
	body.write(request[:len(request)-5])
	open.write(wholeMessage[:20_000])
	body.write(request[len(request)-5:])
	body.expectStatus(201)
	open.write(wholeMessage[20_000:])
	open.expectNothing() // it is open, and has read what came before the ping
	if n := srv.Stats().Rejected["memory"]; n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
	use(899)
	connect(t, srv, "/ws").usable()
}

// When there is no room at all, nothing more is kept, whoever sends it.
func TestNothingIsKeptWithoutRoom(t *testing.T) {
	srv := start(t, Config{Memory: func() (int64, int64) { return 0, 0 }}) // unknown, so the room stays as it is
	message, member, body, head, idle := connect(t, srv, "/ws"), connect(t, srv, "/ws"), dial(t, srv), dial(t, srv), connect(t, srv, "/ws")
	idle.join("a")
	testtool.Until(t, "all are open", func() bool { return srv.Connections() == 5 })
	srv.watch.room.Store(0)
	message.write(wholeMessage[:50_000])
	message.expectClose(1013)
	member.send(`{"command":"join","args":{"channel":"b"}}`)
	member.expectClose(1013)
	body.write(postRequest("/broadcast", wholeMessage)[:1000])
	body.expectStatus(503)
	head.write("GET /ws HT")
	head.expectStatus(503)
	dial(t, srv).closedAtOnce()
	for _, p := range []*peer{message, member, body, head} {
		_ = p.Close()
	}
	testtool.Until(t, "they are counted", func() bool {
		st := srv.Stats()
		return st.Closed["memory"] == 5 && st.Rejected["memory"] == 2 && st.Unpublished["memory"] == 1
	})
	idle.broadcast("a", "1") // what keeps nothing goes on
	idle.expectText("1")
}

// Those that wait for the authorizer keep input, too. What is sent while they wait is not kept
// without room, and they are told in the right way.
func TestWhatWaitsForTheAuthorizerKeepsNoMoreWithoutRoom(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{
		AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}, AuthorizerTimeout: time.Hour,
		Memory: func() (int64, int64) { return 0, 0 },
	})
	release := hook.hold(nil)
	waiting := parkMany(t, srv, 3)
	awaitParked(t, srv, 3)
	waiting[0].write(wholeMessage[:50_000])
	testtool.Until(t, "it is read", func() bool { return srv.group.Stats().BytesReceived > 50_000 })
	relieve(t, srv, 1)
	waiting[0].expectClose(1013) // keeps the most
	srv.watch.room.Store(0)
	waiting[1].send("one more")
	waiting[1].expectClose(1013)
	srv.watch.room.Store(1 << 40) // a membership takes some
	release()
	waiting[2].expectText(`{"id":1,"ok":true}`)
}

// Who has not said what protocol it speaks gets no answer.
func TestAnUnfinishedProxyHeaderIsNotKeptWithoutRoom(t *testing.T) {
	srv := start(t, Config{ProxyProtocol: ProxyRequired, TrustedProxies: []string{"127.0.0.1"}, Memory: func() (int64, int64) { return 0, 0 }})
	p := dial(t, srv)
	testtool.Until(t, "it is open", func() bool { return srv.Connections() == 1 })
	srv.watch.room.Store(0)
	p.write("PROXY TCP4 ")
	p.closedAtOnce()
	if st := srv.Stats(); st.Rejected["memory"] != 1 {
		t.Errorf("%v are counted, want 1", st.Rejected)
	}
}
