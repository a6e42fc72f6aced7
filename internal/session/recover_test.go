package session

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/internal/testtool"
)

// keepHistory makes channels that begin with "h" keep history, in memory.
func keepHistory(cfg Config, size int, memory int64) Config {
	cfg.History = &broker.History{
		Match: func(channel string) bool { return strings.HasPrefix(channel, "h") }, Size: size, TTL: time.Hour, Memory: memory,
	}
	cfg.Broker = broker.NewMemory(broker.Config{History: cfg.History})
	return cfg
}

func startWithHistory(t *testing.T) *Server { return start(t, keepHistory(Config{}, 10, 1<<20)) }

// joinReply is what the reply to a join of a channel with history says.
type joinReply struct {
	ID        int
	OK        bool
	Position  string
	Recovered *bool
	Error     struct{ Code, Message string }
}

func (r joinReply) String() string {
	switch {
	case !r.OK:
		return r.Error.Code + ": " + r.Error.Message
	case r.Position == "":
		return "member"
	case r.Recovered == nil:
		return "joined"
	}
	return fmt.Sprint("recovered ", *r.Recovered)
}

// joinFrom sends a join with more members in its args, and returns the publications that come
// before the reply, and the reply.
func (p *peer) joinFrom(channel, more string) (got []string, r joinReply) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"command":"join","args":{"channel":%q%s},"id":77}`, channel, more))
	for {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("waiting for the reply to a join: %v", err)
		}
		text := f.payload
		if !strings.Contains(text, `"id":77`) {
			got = append(got, text)
			continue
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			p.t.Fatalf("the reply %s: %v", text, err)
		}
		return got, r
	}
}

// expectJoin fails the test unless a join gets these publications and this outcome.
func (p *peer) expectJoin(channel, more, publications, outcome string) joinReply {
	p.t.Helper()
	got, r := p.joinFrom(channel, more)
	if strings.Join(got, " ") != publications || r.String() != outcome {
		p.t.Fatalf("a join of %q with %s got %q, and %q; want %q, and %q", channel, more, got, r, publications, outcome)
	}
	return r
}

func sincePosition(position string) string { return fmt.Sprintf(`,"since":%q`, position) }

func TestAJoinFromAPositionGetsWhatItMissed(t *testing.T) {
	srv := startWithHistory(t)
	p := connect(t, srv, "/ws")
	first := p.expectJoin("h", "", "", "joined")
	for n := range 3 {
		post201(t, srv, "h", fmt.Sprint(n))
		p.expectText(fmt.Sprint(n))
	}
	p.Close()
	q := connect(t, srv, "/ws")
	second := q.expectJoin("h", sincePosition(first.Position), "0 1 2", "recovered true")
	post201(t, srv, "h", "3")
	q.expectText("3")
	r := connect(t, srv, "/ws")
	r.expectJoin("h", sincePosition(second.Position), "3", "recovered true")
	if third := r.expectJoin("h", sincePosition(second.Position), "3", "recovered true"); third.Position == second.Position {
		t.Error("the position has not moved")
	}
	r.expectNothing()
}

// A position that does not help is answered, and the client goes on from the new one.
func TestAPositionThatIsNoneOfThisHistoryIsAnsweredWithTheNewOne(t *testing.T) {
	srv := startWithHistory(t)
	p := connect(t, srv, "/ws")
	other := p.expectJoin("h2", "", "", "joined")
	post201(t, srv, "h2", `"x"`)
	p.expectText(`"x"`)
	first := p.expectJoin("h", "", "", "joined")
	for n := range 12 { // the history has ten
		post201(t, srv, "h", fmt.Sprint(n))
		p.expectText(fmt.Sprint(n))
	}
	epoch, _, _ := strings.Cut(first.Position, "-")
	for what, position := range map[string]string{
		"older than what is kept": first.Position,
		"of another channel":      other.Position,
		"of another epoch":        "nope-3",
		"from the future":         epoch + "-13",
		"garbage":                 "\u2603",
		"empty":                   "",
		"64 bytes":                strings.Repeat("9", 64),
	} {
		q := connect(t, srv, "/ws")
		if r := q.expectJoin("h", sincePosition(position), "", "recovered false"); r.Position != epoch+"-12" {
			t.Errorf("a position %s: the new one is %s, want %s-12", what, r.Position, epoch)
		}
		q.Close()
	}
	q := connect(t, srv, "/ws")
	q.expectJoin("h", sincePosition(epoch+"-2"), "2 3 4 5 6 7 8 9 10 11", "recovered true")
	q.expectJoin("h", sincePosition(epoch+"-1"), "", "recovered false")
	post201(t, srv, "h", "12")
	q.expectText("12")
	if n := srv.Stats().Recoveries; n["recovered"] != 1 || n["lost"] != 8 {
		t.Errorf("the counters say %v", n)
	}
}

func TestAJoinMayAskForTheNewestPublications(t *testing.T) {
	srv := startWithHistory(t)
	for n := range 3 {
		post201(t, srv, "h", fmt.Sprint(n))
	}
	p := connect(t, srv, "/ws")
	p.expectJoin("h", `,"last":2`, "1 2", "joined")
	p.expectJoin("h", `,"last":0`, "", "member") // it is one already
	for last, want := range map[string]string{"1": "2", "3": "0 1 2", "999999999": "0 1 2"} {
		q := connect(t, srv, "/ws")
		q.expectJoin("h", `,"last":`+last, want, "joined")
		q.Close()
	}
	q := connect(t, srv, "/ws")
	r := q.expectJoin("hempty", `,"last":5`, "", "joined")
	post201(t, srv, "hempty", `"a"`)
	q.expectText(`"a"`)
	q.expectJoin("hempty", sincePosition(r.Position), `"a"`, "recovered true")
}

func TestAJoinThatCannotBeReadIsABadRequest(t *testing.T) {
	srv := startWithHistory(t)
	p := connect(t, srv, "/ws")
	for more, want := range map[string]string{
		`,"since":1`:                 "bad_request: since must be a string of at most 64 bytes",
		`,"last":-1`:                 "bad_request: last must be a whole number from 0 to 999999999",
		`,"since":"a-1","last":1`:    "bad_request: give one of since and last",
		`,"since":"a-1","since":"b"`: "bad_request: since and last must be written exactly so, and once",
	} {
		p.expectJoin("h", more, "", want)
	}
	p.expectJoin("plain", `,"since":"a-1"`, "", "bad_request: this channel keeps no history")
	p.expectJoin("plain", `,"last":1`, "", "bad_request: this channel keeps no history")
	if n := srv.members(t, "h") + srv.members(t, "plain"); n != 0 {
		t.Errorf("%d joins took effect", n)
	}
	p.send(`{"command":"join","args":{"channel":"plain"},"id":1}`)
	p.expectText(`{"id":1,"ok":true}`)
}

// Without history, these are members of args like any other, as they always were.
func TestANodeWithoutHistoryLeavesSinceToTheAuthorizer(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"h","since":{},"last":"x","Since":1},"id":1}`)
	p.expectText(`{"id":1,"ok":true}`)
}

// The join waits for the first position, and what follows it keeps its order.
func TestCommandsBehindAJoinThatWaitsKeepTheirOrder(t *testing.T) {
	srv := startWithHistory(t)
	p := connect(t, srv, "/ws")
	var all strings.Builder
	for n := range 50 {
		all.WriteString(message(fmt.Sprintf(`{"command":"join","args":{"channel":"h%d"}}`, n)))
		all.WriteString(message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"h%d","content":%d}}`, n, n)))
	}
	p.write(all.String())
	for n := range 50 {
		p.expectText(fmt.Sprint(n))
	}
}

// A client may ask for more than its queue holds. It gets all of it, as it reads.
func TestMoreThanTheQueueHoldsIsSentAsTheClientReads(t *testing.T) {
	const size, count = 32 << 10, 64
	cfg := keepHistory(Config{WriteQueueSize: 128 << 10}, count, 64<<20)
	srv := start(t, cfg)
	p := connect(t, srv, "/ws")
	first := p.expectJoin("h", "", "", "joined")
	p.Close()
	testtool.Until(t, "the client is gone", func() bool { return srv.Stats().Net.Connections == 0 }) // or its queue fills
	content := func(n int) string { return fmt.Sprintf(`"%d %s"`, n, strings.Repeat("x", size)) }
	for n := range count {
		post201(t, srv, "h", content(n))
	}
	q := connect(t, srv, "/ws")
	q.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":1}`, sincePosition(first.Position)))
	for n := range count {
		q.expectText(content(n))
	}
	f, err := q.next()
	if err != nil || !strings.Contains(f.payload, `"recovered":true`) {
		t.Fatalf("the reply is %v, %v", f, err)
	}
	post201(t, srv, "h", `"new"`)
	q.expectText(`"new"`)
	if st := srv.Stats(); st.Dropped["slow_consumer"] != 0 {
		t.Errorf("%d messages were dropped", st.Dropped["slow_consumer"])
	}
}

// Each join asks for less than the queue holds, all together for eight times as much.
func TestManyJoinsInOnePieceAreSentAsTheClientReads(t *testing.T) {
	const queue, size, count, channels = 1 << 20, 50 << 10, 8, 20
	srv := start(t, keepHistory(Config{WriteQueueSize: queue}, count, 64<<20))
	content := func(channel, n int) string { return fmt.Sprintf(`"h%d %d %s"`, channel, n, strings.Repeat("x", size)) }
	var joins string
	p := connect(t, srv, "/ws")
	for channel := range channels {
		p.expectJoin(fmt.Sprint("h", channel), "", "", "joined")
		for n := range count {
			post201(t, srv, fmt.Sprint("h", channel), content(channel, n))
			p.expectText(content(channel, n))
		}
		joins += message(fmt.Sprintf(`{"command":"join","args":{"channel":"h%d","last":%d}}`, channel, count))
	}
	q := connect(t, srv, "/ws")
	q.write(joins)
	testtool.Until(t, "much is queued", func() bool { return srv.Stats().Net.QueuedBytes > queue/4 })
	if queued := srv.Stats().Net.QueuedBytes; queued > queue {
		t.Errorf("%d bytes are queued for one connection, want %d at most", queued, queue)
	}
	for channel := range channels {
		for n := range count {
			q.expectText(content(channel, n))
		}
	}
}

// What passes while a client does not read is lost to it, and it is told so.
func TestHistoryThatPassesWhileItIsReadIsLost(t *testing.T) {
	const size, count = 32 << 10, 64
	cfg := keepHistory(Config{WriteQueueSize: 64 << 10}, count, 64<<20)
	srv := start(t, cfg)
	p := connect(t, srv, "/ws")
	first := p.expectJoin("h", "", "", "joined")
	p.Close()
	testtool.Until(t, "the client is gone", func() bool { return srv.Stats().Net.Connections == 0 }) // or its queue fills
	content := func(n int) string { return fmt.Sprintf(`"%d %s"`, n, strings.Repeat("x", size)) }
	for n := range count {
		post201(t, srv, "h", content(n))
	}
	q := connect(t, srv, "/ws")
	_ = q.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	q.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":1}`, sincePosition(first.Position)))
	q.expectText(content(0))
	for n := range 3 * count {
		post201(t, srv, "h", content(count+n))
	}
	next := 1
	for {
		f, err := q.next()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(f.payload, `"recovered":false`) {
			break
		}
		if f.payload != content(next) {
			t.Fatalf("got %.20q, want number %d", f.payload, next)
		}
		next++
	}
	if next == 4*count {
		t.Error("nothing was lost: the kernel's buffers took all")
	}
	post201(t, srv, "h", `"new"`)
	q.expectText(`"new"`)
}

func TestAJoinThatWaitsForTheClientToReadIsRevokedToo(t *testing.T) {
	const size, count = 32 << 10, 400
	srv := start(t, keepHistory(Config{WriteQueueSize: 64 << 10}, count, 64<<20))
	p := connect(t, srv, "/ws")
	first := p.expectJoin("h", "", "", "joined")
	p.Close()
	content := fmt.Sprintf("%q", strings.Repeat("x", size))
	for range count {
		if _, _, err := srv.broker.Publish(nil, []byte("h"), []byte(content), nil); err != nil {
			t.Fatal(err)
		}
	}
	q := connect(t, srv, "/ws")
	q.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":1}`, sincePosition(first.Position)))
	q.expectText(content)
	if _, err := srv.Order(t.Context(), Order{Unsubscribe: true, Channel: "h"}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := q.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.payload == content {
			continue
		}
		if f.payload != `{"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}` {
			t.Fatalf("got %.200q", f.payload)
		}
		break
	}
	if n := srv.members(t, "h"); n != 0 {
		t.Errorf("%d members", n)
	}
}
