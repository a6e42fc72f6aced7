package session

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/internal/publish"
	"wsify/internal/testtool"
)

const ndjson = "Content-Type: application/x-ndjson"

// expectAnswer posts and compares the answer. A body that begins with { or [ has to be said to be JSON.
func expectAnswer(t *testing.T, srv *Server, target, body string, status int, want string, headers ...string) response {
	t.Helper()
	res := post(t, srv, target, body, headers...)
	isJSON := strings.HasPrefix(want, "{") || strings.HasPrefix(want, "[")
	if res.status != status || res.body != want || isJSON != (res.header.Get("Content-Type") == "application/json") {
		t.Errorf("POST %s %.200s %v: %d %.400q, %s; want %d %q", target, body, headers, res.status, res.body, res.header.Get("Content-Type"), status, want)
	}
	return res
}

// A batch, as an array and as lines, is answered with the outcome of each publication in order. Each
// stands alone.
func TestABatchIsAnsweredWithEachOutcome(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 80, MaxChannelLength: 5})
	p, q, r := connect(t, srv, "/ws"), connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("a")
	q.join("a")
	r.join("b")
	id := idOf(t, srv, q)
	items := []struct{ text, want string }{
		{`{"channel":"a","content":1,"id":7}`, `{"ok":true,"members":2}`},
		{`{"channel":"a","content":}`, `{"ok":false,"error":{"code":"bad_request","message":"not valid JSON"}}`},
		{`{"content":2}`, `{"ok":false,"error":{"code":"bad_request","message":"channel is missing or empty"}}`},
		{`{"channel":"nobody","content":2}`, `{"ok":false,"error":{"code":"limit","message":"the channel name is too long"}}`},
		{`7`, `{"ok":false,"error":{"code":"bad_request","message":"not a JSON object"}}`},
		{`{"channel":"a","content":3,"except":["` + id + `"]}`, `{"ok":true,"members":2}`},
		{`{"channels":["b","a","c"],"content":4}`, `{"ok":true,"members":3,"outcomes":[{"ok":true,"members":1},{"ok":true,"members":2},{"ok":true,"members":0}]}`},
		{`{"user":"ann","content":5}`, `{"ok":true,"members":0}`},
		{`{"channel":"a","args":{"content":"` + strings.Repeat("x", 78) + `"}}`, `{"ok":true,"members":2}`},
		{`{"channel":"a","content":"` + strings.Repeat("x", 79) + `"}`, `{"ok":false,"error":{"code":"limit","message":"the content is larger than -max-message-size"}}`},
	}
	var texts, outcomes, array, ofArray []string
	for _, it := range items {
		texts, outcomes = append(texts, it.text), append(outcomes, it.want)
		if !strings.Contains(it.want, "valid JSON") { // in an array it would leave nothing to tell apart
			array, ofArray = append(array, it.text), append(ofArray, it.want)
		}
	}
	expectAnswer(t, srv, "/broadcast", strings.Join(texts, "\n"), 200, "["+strings.Join(outcomes, ",")+"]", ndjson)
	expectAnswer(t, srv, "/broadcast", "\ufeff [ "+strings.Join(array, " , ")+" ] ", 200, "["+strings.Join(ofArray, ",")+"]")
	long := `"` + strings.Repeat("x", 78) + `"`
	for range 2 {
		p.expectText("1", "3", "4", long)
		q.expectText("1", "4", long)
		r.expectText("4")
	}
	p.expectNothing()
	q.expectNothing()
	if st := srv.Stats(); st.Broadcasts["http"] != 2*7 || st.Unpublished["malformed"] != 4+5 {
		t.Errorf("%v broadcasts, %v unpublished", st.Broadcasts, notZero(st.Unpublished))
	}
}

func TestBatchesThatAreRefusedOrEmpty(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 1 << 10})
	p := connect(t, srv, "/ws")
	p.join("a")
	const one = `{"channel":"a","content":1}`
	expectAnswer(t, srv, "/broadcast", "[]", 200, "[]")
	expectAnswer(t, srv, "/broadcast", "\r\n \n\n", 200, "[]", ndjson)
	expectAnswer(t, srv, "/broadcast", "", 200, "[]", ndjson)
	for _, body := range []string{"[", "[" + one, "[" + one + ",]", "[" + one + one + "]", "[" + one + "]x", "[" + one + ",{]"} {
		expectAnswer(t, srv, "/broadcast", body, 400, "not valid JSON\n")
	}
	expectAnswer(t, srv, "/broadcast", one, 415, "Content-Type must be application/json or application/x-ndjson\n", ndjson, "Content-Type: application/json")
	p.expectNothing() // a batch that is refused publishes nothing
}

// The bounds of a batch are tried at the limit and one beyond, and do not depend on -max-message-size.
func TestTheBoundsOfABatch(t *testing.T) {
	for _, most := range []int{100, 2 << 20} {
		srv := start(t, Config{MaxMessageSize: most})
		const one = `{"channel":"a","content":1}`
		for _, lines := range []bool{false, true} {
			join := func(n int) (string, string) {
				if lines {
					return strings.Repeat(one+"\n", n), ndjson
				}
				return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]", "Content-Type: application/json"
			}
			body, kind := join(publish.MaxBatch)
			if res := post(t, srv, "/broadcast", body, kind); res.status != 200 || strings.Count(res.body, `{"ok":true,"members":0}`) != publish.MaxBatch {
				t.Errorf("%d publications: %d %.100q", publish.MaxBatch, res.status, res.body)
			}
			body, kind = join(publish.MaxBatch + 1)
			expectAnswer(t, srv, "/broadcast", body, 413, "a batch has at most 1000 publications\n", kind)
			body, kind = join(1)
			full := body + strings.Repeat(" ", publish.MaxBatchBytes-len(body))
			expectAnswer(t, srv, "/broadcast", full, 200, `[{"ok":true,"members":0}]`, kind)
			if res := post(t, srv, "/broadcast", full+" ", kind); res.status != 413 || !strings.Contains(res.body, "1 MiB") {
				t.Errorf("a batch of a byte more: %d %q", res.status, res.body)
			}
		}
		if res := post(t, srv, "/broadcast", one+strings.Repeat(" ", most-len(one))); res.status != 201 {
			t.Errorf("a single publication of %d bytes: %d %q", most, res.status, res.body)
		}
		if res := post(t, srv, "/broadcast", one+strings.Repeat(" ", most+1-len(one))); res.status != 413 || !strings.Contains(res.body, "-max-message-size") {
			t.Errorf("a single publication of a byte more: %d %q", res.status, res.body)
		}
	}
}

// A request means the same however it arrives, also in chunks.
func TestABatchIsTheSameHoweverItIsCut(t *testing.T) {
	srv := start(t, Config{})
	const body = `[{"channel":"a","content":1},{"channel":"b"},7]`
	const want = `[{"ok":true,"members":0},{"ok":true,"members":0},{"ok":false,"error":{"code":"bad_request","message":"not a JSON object"}}]`
	whole := postRequest("/broadcast", body)
	var chunked strings.Builder
	chunked.WriteString("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	for part := range strings.SplitAfterSeq(body, ",") {
		fmt.Fprintf(&chunked, "%x\r\n%s\r\n", len(part), part)
	}
	chunked.WriteString("0\r\n\r\n")
	p := dial(t, srv)
	for _, raw := range []string{whole, chunked.String()} {
		for cut := 1; cut < len(raw); cut += 7 {
			p.write(raw[:cut])
			settle(t, srv)
			p.write(raw[cut:])
			if res := p.response(); res.status != 200 || res.body != want {
				t.Fatalf("cut at %d of %q: %d %q", cut, raw, res.status, res.body)
			}
		}
	}
	p.write(whole + whole + whole) // pipelined
	for range 3 {
		if res := p.response(); res.status != 200 || res.body != want {
			t.Fatalf("pipelined: %d %q", res.status, res.body)
		}
	}
}

// A batch that is larger than what may be undelivered in its channel waits for room, so that all of
// it gets there, in order. Through an engine, to each node.
func TestABatchWaitsForRoomInItsChannel(t *testing.T) {
	cfg := Config{WriteQueueSize: 2 << 20} // 512 KiB may be undelivered; a queue has room for all, as a member may read slowly
	t.Run("memory", func(t *testing.T) { checkLargeBatch(t, start(t, cfg)) })
	withEngines(t, func(t *testing.T, e testEngine) { checkLargeBatch(t, e.node(t, cfg), e.node(t, cfg)) })
}

// checkLargeBatch publishes a batch on the first node. Each node has a member.
func checkLargeBatch(t *testing.T, nodes ...*Server) {
	t.Helper()
	const count = 900
	content := func(i int) string { return fmt.Sprintf("[%d,%q]", i, strings.Repeat("x", 1<<10)) }
	var members []*peer
	for _, srv := range nodes {
		p := connect(t, srv, "/ws")
		p.join("a")
		members = append(members, p)
	}
	var body strings.Builder
	for i := range count {
		fmt.Fprintf(&body, "{\"channel\":\"a\",\"content\":%s}\n", content(i))
	}
	backend := dial(t, nodes[0])
	backend.write(postRequest("/broadcast", body.String(), ndjson))
	for i := range count {
		for _, p := range members {
			p.expectText(content(i))
		}
	}
	if res := backend.response(); res.status != 200 || strings.Count(res.body, `{"ok":true,"members":1}`) != count {
		t.Errorf("%d %.200q", res.status, res.body)
	}
}

// Many publications of a batch are under way at once. The answer has all outcomes, in order.
func TestABatchIsAnsweredWhenAllOutcomesAreKnown(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	p := dial(t, srv)
	p.write(postRequest("/broadcast?reply=1", `[{"channel":"a"},{"channel":"b"},{"channels":["c","d"]}]`) + postRequest("/broadcast?reply=1", `{"channel":"e"}`))
	testtool.Until(t, "all of the batch is under way", func() bool { return b.due() == 4 })
	b.fail(fmt.Errorf("the engine at 10.0.0.1: %w", broker.ErrDown))
	b.await(t, 4)
	const down = `{"ok":false,"error":{"code":"broker_down","message":"not published: the broker is unreachable"}`
	if res, want := p.response(), "["+down+"},"+down+"},"+down+`,"outcomes":[`+down+"},"+down+`}]}]`; res.status != 200 || res.body != want {
		t.Errorf("%d %s, want %s", res.status, res.body, want)
	}
	b.fail(nil)
	b.await(t, 1) // the next request comes after the answer
	if res := p.response(); res.status != 201 || res.body != `{"ok":true,"members":0}` {
		t.Errorf("%d %q", res.status, res.body)
	}
	if st := srv.Stats(); st.Dropped["broker_down"] != 4 || st.Broadcasts["http"] != 1 {
		t.Errorf("%v dropped, %v broadcasts", notZero(st.Dropped), st.Broadcasts)
	}
}

// ?reply=1 asks for a body that says what became of a single publication.
func TestAReplyToASinglePublication(t *testing.T) {
	kept := broker.NewMemory(broker.Config{History: &broker.History{Match: func(name string) bool { return name == "kept" }, Size: 10, TTL: time.Minute, Memory: 1 << 20}})
	srv := start(t, Config{Broker: kept, BroadcastingKey: "k&y", Limits: Limits{PublishRate: 2}})
	p := connect(t, srv, "/ws")
	p.join("a", "kept")
	const target = "/broadcast?reply=1&key=k%26y"
	expectAnswer(t, srv, target, `{"channel":"a","content":1}`, 201, `{"ok":true,"members":1}`)
	expectAnswer(t, srv, "/broadcast?key=k%26y&reply=1", `{"channels":["a"],"content":1}`, 201, `{"ok":true,"members":1}`)
	expectAnswer(t, srv, "/broadcast?key=k%26y&reply=0", `{"channel":"b","content":1}`, 201, "")
	expectAnswer(t, srv, "/broadcast?reply=1", `{"channel":"a"}`, 403, "wrong or missing key: POST /broadcast?key=KEY, or Authorization: Bearer KEY\n")
	const tooOften = `{"ok":false,"error":{"code":"limit","message":"this channel gets too many publications a second: not published"}}`
	if res := expectAnswer(t, srv, target, `{"channel":"a","content":1}`, 429, tooOften); res.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: %q, want 1", res.header.Get("Retry-After"))
	}
	expectAnswer(t, srv, target, `{"channel":7}`, 400, "channel must be a string\n")
	res := post(t, srv, target, `{"channel":"kept","content":1}`)
	var epoch string
	if _, err := fmt.Sscanf(strings.ReplaceAll(res.body, `"`, " "), `{ ok :true, members :1, position : %s }`, &epoch); err != nil || !strings.HasSuffix(epoch, "-1") {
		t.Errorf("%q has no position of a first publication: %v", res.body, err)
	}
	p.expectText("1", "1", "1")
}

// A publication to several channels, of which one has no room: the others get it, and the answer says so.
func TestSeveralChannelsOfWhichOneHasNoRoom(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 4 << 10})
	full := connectTo(t, srv, srv.loops[0])
	full.join("b")
	p := connectTo(t, srv, srv.loops[1])
	p.join("a", "c")
	backend := dialTo(t, srv, srv.loops[1])
	release := holdLoop(t, srv.loops[0])
	publishBut(t, srv, "b", `"`+strings.Repeat("x", 2<<10)+`"`)
	const busy = "not published: the channel has too much undelivered"
	backend.write(postRequest("/broadcast", `{"channels":["a","b","c"],"content":1}`))
	if res := backend.response(); res.status != 503 || res.header.Get("Retry-After") != "1" || res.body != "published to 2 of 3; the first failure: "+busy+"\n" {
		t.Errorf("%d %q", res.status, res.body)
	}
	backend.write(postRequest("/broadcast?reply=1", `{"channels":["a","b"],"content":2}`))
	failure := `{"ok":false,"error":{"code":"limit","message":"` + busy + `"}`
	if res, want := backend.response(), failure+`,"outcomes":[{"ok":true,"members":1},`+failure+`}]}`; res.status != 503 || res.body != want {
		t.Errorf("%d %s, want %s", res.status, res.body, want)
	}
	p.expectText("1", "1", "2")
	release()
	if st := srv.Stats(); st.Dropped["channel_busy"] != 2 || st.Broadcasts["http"] != 3 {
		t.Errorf("%v dropped, %v broadcasts", notZero(st.Dropped), st.Broadcasts)
	}
}

// dialTo opens a connection that the loop has.
func dialTo(t *testing.T, srv *Server, want *loop) *peer {
	t.Helper()
	for range 100 {
		p := dial(t, srv)
		p.write("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n")
		p.expectStatus(http.StatusNoContent)
		if loopOf(t, srv, p) == want {
			return p
		}
	}
	t.Fatal("no connection was given to the wanted loop")
	return nil
}

// The answer to a batch may be longer than what the kernel keeps. The connection stays for the next
// request.
func TestALongAnswerToABatch(t *testing.T) {
	srv := start(t, Config{})
	p := dial(t, srv)
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	channels := make([]string, 100)
	for i := range channels {
		channels[i] = fmt.Sprintf(`"%d"`, i)
	}
	item := `{"channels":[` + strings.Join(channels, ",") + `]}`
	p.write(postRequest("/broadcast", strings.Repeat(item+"\n", publish.MaxBatch), ndjson))
	testtool.Until(t, "it is answered", func() bool { return sessionsIn(t, srv, kept) == 1 })
	if res := p.response(); res.status != 200 || strings.Count(res.body, `"members":0`) != 101*publish.MaxBatch || res.close {
		t.Errorf("%d, %d bytes, close %t", res.status, len(res.body), res.close)
	}
	p.write(postRequest("/broadcast", `{"channel":"a"}`))
	p.expectStatus(201)
}

// A batch that finds no room in time says so for what is left.
func TestABatchThatFindsNoRoom(t *testing.T) {
	long(t)
	srv := start(t, Config{WriteQueueSize: 4 << 10})
	member := connectTo(t, srv, srv.loops[0])
	member.join("b")
	backend := dialTo(t, srv, srv.loops[1])
	release := holdLoop(t, srv.loops[0])
	publishBut(t, srv, "b", `"`+strings.Repeat("x", 2<<10)+`"`)
	backend.write(postRequest("/broadcast", `[{"channel":"a"},{"channel":"b"},{"channel":"a"}]`))
	failure := `{"ok":false,"error":{"code":"limit","message":"not published: the channel has too much undelivered"}}`
	if res, want := backend.response(), `[{"ok":true,"members":0},`+failure+`,`+failure+`]`; res.status != 200 || res.body != want {
		t.Errorf("%d %s, want %s", res.status, res.body, want)
	}
	release()
	backend.write(postRequest("/broadcast", `{"channel":"a"}`)) // the connection is kept
	backend.expectStatus(201)
}

// A browser may send the header of a key, and lines.
func TestThePreflightAllowsAnIdempotencyKey(t *testing.T) {
	srv := start(t, Config{})
	p := dial(t, srv)
	p.write("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: idempotency-key\r\n\r\n")
	if res := p.response(); res.status != 204 || !strings.Contains(res.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("%d, %v", res.status, res.header)
	}
}
