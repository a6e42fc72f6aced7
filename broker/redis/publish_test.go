package redis

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// The servers that CLUSTER SLOTS names are reached with the TLS of the DSN.
func TestClusterOverTLS(t *testing.T) {
	files := makeCertificates(t)
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(brokertest.Listen(t), &tls.Config{Certificates: []tls.Certificate{pair}})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const about = "$4\r\nrole\r\n$6\r\nmaster\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$7\r\nversion\r\n$5\r\n8.0.0\r\n$5\r\nproto\r\n"
	answers := map[string]string{
		"HELLO": "*8\r\n" + about + ":2\r\n", "PING": "+PONG\r\n", "PUBLISH": ":0\r\n",
		"CLUSTER INFO":  "$16\r\ncluster_state:ok\r\n",
		"CLUSTER SLOTS": "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n",
	}
	brokertest.Serve(l, func(conn net.Conn) { serveFake(conn, answers) })
	n := upNode(t, broker.Config{DSN: "rediss://127.0.0.1:" + port + "?sharded=no&ca=" + url.QueryEscape(files.cert)})
	n.MustPublish("c", "1")
}

func TestClusterPublishesAtTheMasterOfTheSlot(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2", ofFirst+" 3"), nil, nil, nil)
	are(t, l.outcomes(t, ofSecond+" 4"), nil)
	if err := l.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
	a.wasAsked(t, ofFirst+" 1", ofFirst+" 3")
	b.wasAsked(t, ofSecond+" 2", ofSecond+" 4")
}

// Publications that their master refuses because it no longer owns the slot are redirected in
// order, and so are later ones, at once.
func TestClusterPublicationsFollowTheirSlot(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	a.says = func(channel, _ string) string { return b.moved(channel) }
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2", ofFirst+" 3"), nil, nil, nil)
	are(t, l.outcomes(t, ofFirst+" 4"), nil)
	a.wasAsked(t, ofFirst+" 1", ofFirst+" 3")
	b.wasAsked(t, ofSecond+" 2", ofFirst+" 1", ofFirst+" 3", ofFirst+" 4")
	if !l.stale.Load() {
		t.Error("the table is not marked stale")
	}
}

// A slot arrives between two publications of a batch. If the first were redirected, it would arrive
// after the second. So it is not published, and its publisher gets an error.
func TestClusterPublishesNothingOutOfOrder(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	a.says = func(channel, content string) string {
		if content == "2" {
			return ":1\r\n"
		}
		return b.moved(channel)
	}
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofFirst+" 2", ofFirst+" 3"), broker.ErrDown, nil, nil)
	b.wasAsked(t, ofFirst+" 3")
}

// Two masters that name each other are asked a few times, not for ever.
func TestClusterSlotThatNobodyTakes(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	a.says = func(channel, _ string) string { return b.moved(channel) }
	b.says = func(channel, _ string) string { return a.moved(channel) }
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1"), broker.ErrDown)
	a.wasAsked(t, slices.Repeat([]string{ofFirst + " 1"}, 3)...)
}

// The outcome of a refused publication has the server's words, and the others go on.
func TestClusterRefusesAPublication(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	a.says = func(_, content string) string {
		if content == "1" {
			return "-NOPERM No permissions to access a channel\r\n"
		}
		return ":1\r\n"
	}
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofFirst+" 2", ofSecond+" 3"),
		respError("NOPERM No permissions to access a channel"), nil, nil)
}

// A publication to a slot without an owner is not published.
func TestClusterSlotThatNobodyOwns(t *testing.T) {
	b := newFakeMaster(t)
	l := publishTo(t, ownedBy("", b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2"), broker.ErrDown, nil)
}

// A master that does not answer is waited for once. Then it fails at once, until it answers again;
// the others are not delayed.
func TestClusterMasterThatHangsIsLeftAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds to be sure")
	}
	t.Parallel()
	a, b := newFakeMaster(t), newFakeMaster(t)
	hung := make(chan struct{})
	a.says = func(string, string) string { <-hung; return "" }
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2"), broker.ErrUnknown, nil)
	for range 20 { // with a wait each, these would exceed the test's patience
		are(t, l.outcomes(t, ofFirst+" 3", ofSecond+" 4"), broker.ErrDown, nil)
	}
	a.mu.Lock()
	a.says = nil
	a.mu.Unlock()
	close(hung)
	brokertest.Until(t, "it is published to again", func() bool { return l.outcomes(t, ofFirst+" 5")[0] == nil })
}

// A master that accepts logins and takes nothing, for example because its writes are paused, rests
// longer each time.
func TestClusterMasterThatHangsAgainRestsLonger(t *testing.T) {
	for hangs, want := range map[int]time.Duration{0: nodeRest, 1: nodeRest, 2: 2 * nodeRest, 3: 4 * nodeRest, 4: 8 * nodeRest, 20: 8 * nodeRest} {
		if shortest, longest := nextRest(hangs, 0), nextRest(hangs, 1); shortest != want/2 || longest != 3*want/2 {
			t.Errorf("after %d times it rests from %v to %v", hangs, shortest, longest)
		}
	}
}

// An unsolicited answer, by a proxy's mistake, ends the connection and nothing else.
func TestClusterMasterSaysMoreThanItWasAsked(t *testing.T) {
	if testing.Short() {
		t.Skip("the master rests for some seconds")
	}
	t.Parallel()
	a, b := newFakeMaster(t), newFakeMaster(t)
	a.says = func(string, string) string { return ":1\r\n-ERR goodbye\r\n+and more\r\n" }
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2"), nil, nil)
	<-a.closed
	a.mu.Lock()
	a.says = nil
	a.mu.Unlock()
	are(t, l.outcomes(t, ofSecond+" 3"), nil)
	brokertest.Until(t, "it is published to again", func() bool { return l.outcomes(t, ofFirst+" 4")[0] == nil })
}

// deafTo is a Sink with members in a channel without a subscription.
type deafTo struct {
	brokertest.Nowhere
	channel string
}

func (d *deafTo) Deaf(channel string) bool { return channel == d.channel }

// After a master has given a channel away, members here miss what it takes. The order of the two
// events is unknown.
func TestClusterMasterTakesWhatItHasGivenAway(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 0", ofSecond+" 0"), nil, nil) // both masters are connected, and are asked for no channel any more
	from, slot := l.nodes[a.addr], slotOf(ofFirst)
	for name, then := range map[string]func(){
		"deaf":      func() { l.to = &deafTo{channel: ofFirst} },
		"elsewhere": func() { l.channels[slot] = map[string]struct{}{ofFirst: {}} },
	} {
		l.mu.Lock()
		l.to = brokertest.Nowhere{}
		l.owner[slot] = from
		l.channels[slot] = map[string]struct{}{ofFirst: {}}
		l.mu.Unlock()
		a.mu.Lock()
		a.says = func(string, string) string {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.moved(slot, from, b.addr)
			then()
			return ":1\r\n"
		}
		a.mu.Unlock()
		if errs := l.outcomes(t, ofFirst+" 1", ofSecond+" 2"); !errors.Is(errs[0], broker.ErrUnknown) || errs[1] != nil {
			t.Errorf("%s: outcomes %q", name, errs)
		}
	}
}

// The answer to a publication may be read before what the master sent on the other connection.
func TestClusterReadsOfSubscriptionsWhatASlowMasterHasSaid(t *testing.T) {
	a := newFakeMaster(t)
	l := publishTo(t, ownedBy(a.addr, a.addr))
	are(t, l.outcomes(t, ofFirst+" 1"), nil) // the master is connected
	n, slot := l.nodes[a.addr], slotOf(ofFirst)
	l.mu.Lock()
	l.to = &deafTo{channel: ofFirst}
	l.channels[slot] = map[string]struct{}{ofFirst: {}}
	ended := l.ended
	l.mu.Unlock()
	a.mu.Lock()
	a.first = ">3\r\n$12\r\nsunsubscribe\r\n$3\r\nfoo\r\n:0\r\n"
	a.mu.Unlock()
	taken := broker.Publication{Channel: ofFirst}
	l.asked, n.group = []*node{n}, []*broker.Publication{&taken}
	l.doubt(t.Context(), ended, true)
	if !errors.Is(taken.Err, broker.ErrUnknown) {
		t.Errorf("the outcome is %v", taken.Err)
	}
}

// The connection to a master that owns nothing any more is closed.
func TestClusterLeavesAMasterThatIsNone(t *testing.T) {
	a, b := newFakeMaster(t), newFakeMaster(t)
	l := publishTo(t, ownedBy(a.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2"), nil, nil)
	began := time.Now()
	l.follow(ownedBy(b.addr, b.addr))
	are(t, l.outcomes(t, ofFirst+" 3"), nil)
	if took := time.Since(began); took < overtake {
		t.Errorf("the new master gets a publication after %v, before what the old one may still pass on", took)
	}
	<-a.closed
	b.wasAsked(t, ofSecond+" 2", ofFirst+" 3")
	l.follow(ownedBy(a.addr, b.addr)) // opened again when it owns slots again
	brokertest.Until(t, "it is published to again", func() bool { return l.outcomes(t, ofFirst+" 4")[0] == nil })
}

// Nothing is sent to an unreachable master, and no publication waits for it twice.
func TestClusterMasterCannotBeReached(t *testing.T) {
	b := newFakeMaster(t)
	nobody := brokertest.Listen(t)
	_ = nobody.Close()
	l := publishTo(t, ownedBy(nobody.Addr().String(), b.addr))
	for range 50 {
		are(t, l.outcomes(t, ofFirst+" 1", ofSecond+" 2"), broker.ErrDown, nil)
	}
}

func TestMovedIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"MOVED 3999 127.0.0.1:6381": "127.0.0.1:6381",
		"MOVED 3999 ::1:6381":       "[::1]:6381",
		"MOVED 3999 a.test:6381":    "a.test:6381",
		"MOVED 3999 :6381":          "asked:6381",
		"MOVED 3999 ?:6381":         "",
		"MOVED 3999 a.test:":        "",
		"MOVED 3999 a.test":         "",
		"MOVED 3999 6381":           "",
		"MOVED 3999":                "",
	} {
		if slot, to, ok := respError(text).moved("asked:6379"); slot != 3999 || to != want || !ok {
			t.Errorf("moved of %q: slot %d, to %q, %t; want %q", text, slot, to, ok, want)
		}
	}
	for _, text := range []string{"ASK 3999 127.0.0.1:6381", "ERR no", "MOVED", "MOVED x a.test:6381", ""} {
		if _, to, ok := respError(text).moved("asked:6379"); to != "" || ok {
			t.Errorf("moved of %q: to %q, %t", text, to, ok)
		}
	}
}
