package session

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/internal/testtool"
)

// joined reads the event that a stream with history gets first, unless it has missed something.
func (s *stream) joined(data string) (id string) {
	s.t.Helper()
	got := s.next()
	if id, got.id = got.id, ""; got != (sent{event: "joined", data: data}) {
		s.t.Fatalf("got %.200v, want joined with %s", got, data)
	}
	return id
}

// expectID reads an event and returns its id.
func (s *stream) expectID(data string) (id string) {
	s.t.Helper()
	got := s.next()
	if id, got.id = got.id, ""; got != (sent{data: data}) || id == "" {
		s.t.Fatalf("got %.200v with id %q, want %.200s with an id", got, id, data)
	}
	return id
}

func eventIn(channel string, content any) string {
	return fmt.Sprintf(`{"channel":%q,"content":%v}`, channel, content)
}

// TestAStreamGoesOnWhereItWas: by the header of a browser that reconnects, or the query, also if
// nothing came before.
func TestAStreamGoesOnWhereItWas(t *testing.T) {
	srv := startWithHistory(t)
	s := openStream(t, srv, "/sse?channel=h&channel=plain")
	first := s.joined(`{}`)
	post201(t, srv, "h", "1")
	second := s.expectID(eventIn("h", 1))
	post201(t, srv, "plain", "0")
	s.expectEvents(eventIn("plain", 0)) // it keeps no history, so its event has no id
	_ = s.Close()
	post201(t, srv, "h", "2")
	post201(t, srv, "plain", "0")
	post201(t, srv, "h", "3")
	last := 3
	for _, c := range []struct {
		target, header string
		from           int
	}{
		{"/sse?channel=h&channel=plain", "Last-Event-ID: " + second, 2},
		{"/sse?channel=plain&channel=h&last-event-id=" + first, "X: y", 1},
		{"/sse?channel=h&last-event-id=" + first, "Last-Event-ID: " + second, 2},
	} {
		s := openStream(t, srv, c.target, c.header)
		id := ""
		for n := c.from; n <= last; n++ {
			id = s.expectID(eventIn("h", n))
		}
		if at := s.joined(`{"recovered":true}`); at != id {
			t.Errorf("it goes on from %q, and its last event has %q", at, id)
		}
		last++
		post201(t, srv, "h", strconv.Itoa(last))
		id = s.expectID(eventIn("h", last))
		openStream(t, srv, "/sse?channel=h", "Last-Event-ID: "+id).joined(`{"recovered":true}`)
	}
}

// startWithHistoryAt starts a node on which h has 1 to n.
func startWithHistoryAt(t *testing.T, n int) *Server {
	t.Helper()
	srv := startWithHistory(t)
	for i := range n {
		post201(t, srv, "h", strconv.Itoa(i+1))
	}
	return srv
}

// positions are those before and behind the first publication to h.
func positions(t *testing.T, srv *Server) (first, second string) {
	t.Helper()
	s := openStream(t, srv, "/sse?channel=h")
	epoch, _, _ := strings.Cut(s.joined(`{}`), "-")
	_ = s.Close()
	return epoch + "-0", epoch + "-1"
}

// TestAGapIsAnEvent, and the stream goes on from there: a position that is of no use is one of
// another history, from the future, of other channels, or no position at all.
func TestAGapIsAnEvent(t *testing.T) {
	srv := startWithHistoryAt(t, 12) // it keeps ten
	first, _ := positions(t, srv)
	epoch, _, _ := strings.Cut(first, "-")
	for _, after := range []string{first, "x-1", epoch + "-13", first + "," + first, "\u2603", ",", strings.Repeat("9", 100)} {
		s := openStream(t, srv, "/sse?channel=h", "Last-Event-ID: "+after)
		at := epoch + "-12"
		if got := s.next(); got != (sent{id: at, event: "gap", data: fmt.Sprintf(`{"channel":"h","position":%q}`, at)}) {
			t.Fatalf("after %q: %+v, want a gap", after, got)
		}
		if id := s.joined(`{"recovered":false}`); id != at {
			t.Errorf("after %q it goes on from %q, want %q", after, id, at)
		}
		openStream(t, srv, "/sse?channel=h", "Last-Event-ID: "+at).joined(`{"recovered":true}`)
		_ = s.Close()
	}
}

// TestAStreamThatCannotRecoverKeepsItsID: while the engine does not answer, it ends and comes back, and gets
// all that it has missed. A new stream opens.
func TestAStreamThatCannotRecoverKeepsItsID(t *testing.T) {
	for name, cause := range map[string]error{"unreachable": broker.ErrDown, "broken": errTest} {
		t.Run(name, func(t *testing.T) {
			srv, b := startScripted(t)
			b.receive(b.publish("1"))
			b.set(func() { b.err = cause })
			s := openStream(t, srv, "/sse?channel=h", "Last-Event-ID: e-0")
			if retry := s.expectClose(`{"code":1013,"reason":"the history cannot be read now, try again later"}`); len(retry) < 4 {
				t.Errorf("retry: %s, want 5 to 15 seconds", retry)
			}
			testtool.Until(t, "it has ended", func() bool { return srv.Stats().Closed["broker_down"] == 1 })
			openStream(t, srv, "/sse?channel=h").joined(`{}`)
			b.set(func() { b.err = nil })
			s = openStream(t, srv, "/sse?channel=h", "Last-Event-ID: e-0")
			s.expectID(eventIn("h", 1))
			s.joined(`{"recovered":true}`)
		})
	}
}

// TestAStreamThatIsCutWhileItRecoversKeepsItsPlace in the channels that it has not joined yet.
func TestAStreamThatIsCutWhileItRecoversKeepsItsPlace(t *testing.T) {
	srv := startWithHistoryAt(t, 1)
	first, _ := positions(t, srv)
	s := openStream(t, srv, "/sse?channel=h&channel=h2")
	_, second, _ := strings.Cut(s.joined(`{}`), ",")
	_ = s.Close()
	post201(t, srv, "h2", "2")
	s = openStream(t, srv, "/sse?channel=h&channel=h2", "Last-Event-ID: "+first+","+second)
	id := s.expectID(eventIn("h", 1)) // and is cut here
	_ = s.Close()
	s = openStream(t, srv, "/sse?channel=h&channel=h2", "Last-Event-ID: "+id)
	s.expectID(eventIn("h2", 2))
	s.joined(`{"recovered":true}`)
}

// TestAStreamOfManyChannelsHasOneID: each event has the positions in all channels that keep
// history, so that it goes on in all of them, wherever it was cut.
func TestAStreamOfManyChannelsHasOneID(t *testing.T) {
	channels := []string{"h1", "plain", "h2", "h\"3"}
	srv := start(t, keepHistory(Config{}, 1000, 1<<20))
	const target = "/sse?channel=h1&channel=plain&channel=h2&channel=h%223"
	s := openStream(t, srv, target)
	other := openStream(t, srv, "/sse?channel=h2") // its own form of the same events
	id := s.joined(`{}`)
	other.joined(`{}`)
	next := map[string]int{} // what each channel has to be heard from
	published := map[string]int{}
	publish := func() {
		channel := channels[rand.IntN(len(channels))]
		post201(t, srv, channel, strconv.Itoa(published[channel]))
		published[channel]++
		if channel == "plain" && next["gone"] == 0 {
			next["plain"] = published["plain"]
		}
	}
	hear := func(s *stream, n int) {
		for range n {
			got := s.next()
			if got.event == "joined" {
				id = got.id
				continue
			}
			var channel string
			for _, c := range channels {
				if got.data == eventIn(c, next[c]) {
					channel = c
				}
			}
			if channel == "" || channel == "plain" {
				t.Fatalf("got %+v, want one of %v", got, next)
			}
			next[channel]++
			if id = got.id; strings.Count(id, ",") != 2 {
				t.Fatalf("the id is %q, want three positions", id)
			}
		}
	}
	channels = []string{"h1", "h2", "h\"3"}
	for range 20 {
		n := 1 + rand.IntN(20)
		for range n {
			publish()
		}
		hear(s, rand.IntN(n+1))
		_ = s.Close()
		for range rand.IntN(5) {
			publish()
		}
		s = openStream(t, srv, target, "Last-Event-ID: "+id)
		missing := 0
		for _, c := range channels {
			missing += published[c] - next[c]
		}
		hear(s, missing+1)
	}
	for _, c := range channels {
		if next[c] != published[c] {
			t.Errorf("%s: heard %d of %d", c, next[c], published[c])
		}
	}
	for i := range published["h2"] {
		if got := other.expectID(eventIn("h2", i)); strings.Contains(got, ",") {
			t.Errorf("the id of a stream of one channel is %q", got)
		}
	}
	settle(t, srv)
	s.expectNothing()
	other.expectNothing()
}

// TestAStreamThatMissedMuchGetsItAsItReads: more than its queue holds, and the head comes first.
func TestAStreamThatMissedMuchGetsItAsItReads(t *testing.T) {
	const many = 200
	srv := start(t, keepHistory(Config{WriteQueueSize: 64 << 10}, many, 64<<20))
	s := openStream(t, srv, "/sse?channel=h1&channel=h2")
	id := s.joined(`{}`)
	_ = s.Close()
	content := `"` + strings.Repeat("x", 40_000) + `"`
	for range many {
		post201(t, srv, "h1", content)
		post201(t, srv, "h2", content)
	}
	s = openStream(t, srv, "/sse?channel=h1&channel=h2", "Last-Event-ID: "+id)
	for _, channel := range []string{"h1", "h2"} {
		for range many {
			s.expectID(eventIn(channel, content))
		}
	}
	s.joined(`{"recovered":true}`)
	if st := srv.Stats(); st.Closed["slow_consumer"] != 0 {
		t.Errorf("closed %v", notZero(st.Closed))
	}
}

// TestWhatAStreamIsOwedHasItsIDs: what is published before a leave, and before the end of the node.
func TestWhatAStreamIsOwedHasItsIDs(t *testing.T) {
	srv := start(t, keepHistory(Config{Loops: 1}, 10, 1<<20))
	s := openStream(t, srv, "/sse?channel=h1&channel=h2&channel=h3")
	ids := strings.Split(s.joined(`{}`), ",")
	release := holdLoop(t, srv.loops[0]) // so that all is published before the loop delivers it
	for _, channel := range []string{"h1", "h2"} {
		if _, _, err := srv.broker.Publish(nil, []byte(channel), []byte("1"), nil); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := srv.Order(t.Context(), Order{Unsubscribe: true, Channel: "h1"})
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { epoch, _, _ := strings.Cut(ids[i], "-"); return epoch + "-1" }
	for range 2 { // in any order
		switch got := s.next(); got.data {
		case eventIn("h1", 1):
			ids[0] = at(0)
			if got.id != strings.Join(ids, ",") {
				t.Errorf("the id is %q, want %q", got.id, ids)
			}
		case eventIn("h2", 1):
			ids[1] = at(1)
			if got.id != strings.Join(ids, ",") {
				t.Errorf("the id is %q, want %q", got.id, ids)
			}
		default:
			t.Fatalf("got %+v", got)
		}
	}
	if _, err := srv.Order(t.Context(), Order{Channel: "h3", Code: 4003}); err != nil {
		t.Fatal(err)
	}
	s.expectClose(`{"code":4003,"reason":""}`)
}

// TestAStreamCanBeLeftOut of single publications of a turn, with several channels, too.
func TestAStreamCanBeLeftOut(t *testing.T) {
	srv := start(t, keepHistory(Config{Loops: 1}, 10, 1<<20))
	s := openStream(t, srv, "/sse?channel=h1&channel=h2")
	s.joined(`{}`)
	id := listed(t, srv, ConnFilter{}, 10)[0].ID
	release := holdLoop(t, srv.loops[0])
	for i := range 4 {
		content := fmt.Appendf(nil, "%d", i)
		if i%2 == 0 {
			content = append(broker.AppendHead(nil, &broker.Head{Except: []string{id}}), content...)
		}
		if _, _, err := srv.broker.Publish(nil, []byte("h1"), content, nil); err != nil {
			t.Fatal(err)
		}
	}
	release()
	s.expectID(eventIn("h1", 1))
	s.expectID(eventIn("h1", 3))
	settle(t, srv)
	s.expectNothing()
}

// TestAGapOfTheNodeIsAnEventOfItsStreams: what the node has missed itself, and cannot read.
func TestAGapOfTheNodeIsAnEventOfItsStreams(t *testing.T) {
	srv := start(t, keepHistory(Config{}, 10, 1<<20))
	one, many := openStream(t, srv, "/sse?channel=h1"), openStream(t, srv, "/sse?channel=h1&channel=h2")
	one.joined(`{}`)
	_, second, _ := strings.Cut(many.joined(`{}`), ",")
	at := broker.Position{Epoch: "new", Offset: 7}
	members{srv.Node}.TellGap([]byte("h1"), at, func() {})
	for s, id := range map[*stream]string{one: "new-7", many: "new-7," + second} {
		if got := s.next(); got != (sent{id: id, event: "gap", data: `{"channel":"h1","position":"new-7"}`}) {
			t.Errorf("got %+v, want a gap with the id %s", got, id)
		}
	}
}
