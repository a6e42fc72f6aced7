package session

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/internal/testtool"
)

const overPublishRate = `{"id":%d,"ok":false,"error":{"code":"limit","message":"this channel gets too many publications a second: not published"}}`

func broadcastMessage(channel, content string, id int) string {
	return fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%s},"id":%d}`, channel, content, id)
}

// Clients and backends share the rate of a channel. Every channel has its own.
func TestPublicationsBeyondTheRateOfAChannelAreRefused(t *testing.T) {
	srv, clock := startRated(t, Config{Limits: Limits{PublishRate: 4}})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("a", "b")
	q.broadcast("a", "1")
	q.broadcast("a", "2")
	p.expectText("1", "2")
	post201(t, srv, "a", "3")
	post201(t, srv, "a", "4")
	p.expectText("3", "4")
	beyond := func() {
		t.Helper()
		q.send(broadcastMessage("a", "5", 7))
		q.expectText(fmt.Sprintf(overPublishRate, 7))
		q.broadcast("a", "6")
		res := post(t, srv, "/broadcast", `{"channel":"a","content":7}`)
		if res.status != 429 || res.header.Get("Retry-After") != "1" || !strings.Contains(res.body, "too many publications") {
			t.Errorf("POST: %d, Retry-After %q, %q; want 429, 1 and why", res.status, res.header.Get("Retry-After"), res.body)
		}
		q.usable()
	}
	beyond()
	post201(t, srv, "b", "8")
	p.expectText("8")
	clock.move(250*time.Millisecond - 1)
	beyond()
	clock.move(1)
	post201(t, srv, "a", "9")
	p.expectText("9")
	beyond()
	if st := srv.Stats(); st.Dropped["publish_rate"] != 9 || st.NotDone["limit"] != 6 {
		t.Errorf("dropped %v, refused %v; want 9 and 6", st.Dropped, st.NotDone)
	}
	p.expectNothing()
}

// A publication that the authorizer denies does not use the rate of a channel up.
func TestADeniedPublicationDoesNotCount(t *testing.T) {
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, "denied") {
			return 403
		}
		return 200
	})
	srv, _ := startRated(t, Config{AuthorizerURL: hook.URL, Limits: Limits{PublishRate: 1}})
	p := connect(t, srv, "/ws")
	for id := range 3 {
		p.send(broadcastMessage("a", `"denied"`, id))
		p.expectText(fmt.Sprintf(`{"id":%d,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`, id))
	}
	p.send(broadcastMessage("a", `"allowed"`, 4))
	p.expectText(fmt.Sprintf(okReply, 4))
	p.send(broadcastMessage("a", `"allowed"`, 5))
	p.expectText(fmt.Sprintf(overPublishRate, 5))
}

// A publication that waits for room in its channel counts once, although it is tried again.
func TestAPublicationThatWaitsForItsChannelCountsOnce(t *testing.T) {
	const many = 20
	srv, _ := startRated(t, Config{WriteQueueSize: 64 << 10, Limits: Limits{PublishRate: many}})
	member := connectTo(t, srv, srv.loops[0])
	member.join("c")
	publisher := connectTo(t, srv, srv.loops[1])
	release := holdLoop(t, srv.loops[0])
	content := `"` + strings.Repeat("x", 4<<10) + `"`
	for id := range many + 1 {
		publisher.send(broadcastMessage("c", content, id))
	}
	testtool.Until(t, "the publisher waits", func() bool { return srv.loops[1].sessionsIn(t, parked) == 1 })
	release()
	for id := range many {
		publisher.expectText(fmt.Sprintf(okReply, id))
		member.expectText(content)
	}
	publisher.expectText(fmt.Sprintf(overPublishRate, many))
	member.expectNothing()
}

// The same is true of one that waits for the broker.
func TestAPublicationThatWaitsForTheBrokerCountsOnce(t *testing.T) {
	b := &testBroker{asynchronous: true}
	clock := &fakeClock{}
	srv := startWith(t, Config{Now: clock.now, Limits: Limits{PublishRate: 2}}, b)
	b.fill(0)
	p := connect(t, srv, "/ws")
	for id := range 3 {
		p.send(broadcastMessage("c", "1", id))
	}
	for range 2 {
		testtool.Until(t, "the publisher waits", func() bool { return b.queued() == 1 })
		b.tell(srv, 1)
	}
	p.expectText(fmt.Sprintf(overPublishRate, 2))
	b.await(t, 2)
	p.expectText(fmt.Sprintf(okReply, 0), fmt.Sprintf(okReply, 1))
}

func newPublishRate(rate int, clock *fakeClock) (*publishRate, *bucketRate) {
	r := bucketRate{now: clock.now, began: clock.now()}.changed(rate, rate)
	return &publishRate{seed: maphash.MakeSeed()}, &r
}

// Random publications to a few channels are allowed exactly as by a naive bucket for each,
// whatever is forgotten meanwhile.
func TestForgottenBucketsMakeNoDifference(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, rate := range []int{1, 3, 50} {
		clock := &fakeClock{}
		p, r := newPublishRate(rate, clock)
		twins := map[string]*naiveBucket{}
		for step := range 20_000 {
			channel := fmt.Sprint(random.IntN(300))
			twin := twins[channel]
			if twin == nil {
				twin = &naiveBucket{tokens: rate, burst: rate, at: r.tick()}
				twins[channel] = twin
			}
			if got, want := p.allow(r, []byte(channel)), twin.take(r.tick()); got != want {
				t.Fatalf("rate %d, step %d: %v, want %v", rate, step, got, want)
			}
			clock.move(time.Duration(random.IntN(20)) * time.Millisecond / time.Duration(rate))
			if random.IntN(100) == 0 {
				clock.move(time.Second)
				p.tidy(r)
			}
		}
	}
}

// buckets counts the buckets that r has.
func (p *publishRate) buckets() (n int) {
	for i := range p.shards {
		n += len(p.shards[i].buckets)
	}
	return n
}

// However many channels are published to, the memory has a bound. When they are idle, it is
// given back.
func TestThePublishedChannelsAreForgotten(t *testing.T) {
	const bound = publishShards * maxBuckets
	clock := &fakeClock{}
	p, r := newPublishRate(1, clock)
	name := func(i int) []byte { return fmt.Append(nil, "channel ", i) }
	for i := range bound + bound/4 {
		if !p.allow(r, name(i)) {
			t.Fatalf("the first publication to channel %d is refused", i)
		}
	}
	if n := p.buckets(); n > bound || n < bound*9/10 {
		t.Errorf("%d buckets, want up to %d", n, bound)
	}
	if p.allow(r, name(0)) {
		t.Error("the second publication to a limited channel is allowed")
	}
	clock.move(time.Second)
	for i := range publishShards * 10 { // some find their shard full, and search it
		p.allow(r, name(-1-i))
	}
	if n := p.buckets(); n > publishShards*20 {
		t.Errorf("%d buckets are left, a second later", n)
	}
	clock.move(time.Second)
	p.tidy(r)
	for i := range p.shards {
		if p.shards[i].buckets != nil {
			t.Errorf("shard %d keeps memory", i)
		}
	}
}

// Loops publish to a channel at the same moment: the rate is that of all together.
func TestLoopsShareTheRateOfAChannel(t *testing.T) {
	const rate = 1000
	clock := &fakeClock{}
	p, r := newPublishRate(rate, clock)
	var wg sync.WaitGroup
	allowed := make([]int, 8)
	for i := range allowed {
		wg.Go(func() {
			for range rate {
				if p.allow(r, []byte("c")) {
					allowed[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range allowed {
		sum += n
	}
	if sum != rate {
		t.Errorf("%d were allowed, want %d", sum, rate)
	}
}
