package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// Clients are told in equal parts: the number that is due at any time is in proportion.
func TestADrainIsEven(t *testing.T) {
	const all, over = 15_000, 9 * time.Second
	last := 0
	for second := range 9 {
		due := dueAfter(time.Duration(second+1)*time.Second, over, all)
		if part := due - last; part < all/9*95/100 || part > all/9*105/100 {
			t.Errorf("in second %d: %d, want about %d", second+1, part, all/9)
		}
		last = due
	}
	if last != all {
		t.Errorf("in the end: %d of %d", last, all)
	}
}

func TestAFewClientsAreDrainedAtOnce(t *testing.T) {
	if due := dueAfter(time.Second, time.Hour, drainLeast); due != drainLeast {
		t.Errorf("after a second: %d of %d", due, drainLeast)
	}
	if due := dueAfter(0, time.Hour, 1); due != 1 {
		t.Errorf("a single client waits")
	}
}

// heard reads the texts that p gets, up to last. It reports whether last came; else p was told to
// reconnect.
func (p *peer) heard(last string) (texts []string, came bool) {
	p.t.Helper()
	for {
		f, err := p.next()
		switch {
		case err != nil:
			p.t.Fatalf("after %q: %v", texts, err)
		case f.op == opClose && strings.HasPrefix(f.payload, "\x03\xf4"): // 1012
			return texts, false
		case f.op != opText:
			p.t.Fatalf("got %v", f)
		case f.payload == last:
			return texts, true
		}
		texts = append(texts, f.payload)
	}
}

// TestADrainIsPaced: while a drain with a long time goes on, some clients are told and others go
// on as before, new ones are refused, and backends may publish. Undrain keeps the rest.
func TestADrainIsPaced(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1})
	const clients = 3 * drainLeast
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
		peers[i].join("c")
	}
	begun := time.Now()
	if !srv.Drain(time.Hour) || srv.Drain(time.Hour) {
		t.Fatal("want the first Drain to begin, and the second to report that there is one")
	}
	testtool.Until(t, "the first are told", func() bool { return sessionsIn(t, srv, ending) > 0 })
	refused := dial(t, srv)
	refused.write(upgradeHead("/ws"))
	if res := refused.expectStatus(503); res.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	post201(t, srv, "c", `"during the drain"`)
	if !srv.Undrain() || srv.Undrain() {
		t.Error("want the first Undrain to end the drain, and the second to report that there is none")
	}
	most := 1 + int(time.Since(begun).Seconds()*drainLeast)
	peers = append(peers, connect(t, srv, "/ws"))
	peers[clients].join("c")
	post201(t, srv, "c", `"after it"`)
	stayed := 0
	for _, p := range peers {
		if _, came := p.heard(`"after it"`); came {
			stayed++
		}
	}
	if told := clients + 1 - stayed; told < 1 || told > most {
		t.Errorf("%d of %d clients were told; want at least one, and at most %d in this time", told, clients, most)
	}
}

// endsMeanwhile is a context that ends behind the first look at it.
type endsMeanwhile struct {
	context.Context // has ended
	looks           int
}

func (c *endsMeanwhile) Done() <-chan struct{} {
	if c.looks++; c.looks == 1 {
		return nil
	}
	return c.Context.Done()
}

func TestNoStepOfADrainBeginsAfterItsEnd(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	ctx, end := context.WithCancel(t.Context())
	end()
	srv.loops[0].tellPaced(&endsMeanwhile{Context: ctx}, 0, (*loop).clients)
	p.usable()
}

// TestClientsThatAreToldHaveHeardAllBefore: in the middle of a fan-out, each client gets every
// publication up to some number, and none after a gap.
func TestClientsThatAreToldHaveHeardAllBefore(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	peers := make([]*peer, 500)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
		peers[i].join("c")
	}
	ended := shutdown(srv)
	go func() {
		for n := range 1000 {
			if peers[0].tryWrite(message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":%d}}`, n))) != nil {
				return // this client was told, too
			}
		}
	}()
	for _, p := range peers {
		texts, _ := p.heard("never")
		for i, text := range texts {
			if text != strconv.Itoa(i) {
				t.Fatalf("text %d of a client is %s", i, text)
			}
		}
		_ = p.Close()
	}
	await(t, ended)
}

// TestAClientIsToldBehindWhatItPublished: it first gets the answer of the engine, and hears its own
// publication.
func TestAClientIsToldBehindWhatItPublished(t *testing.T) {
	t.Parallel()
	b := &testBroker{asynchronous: true, settles: true}
	srv := startWith(t, Config{}, b)
	p := connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"c"}}`)
	b.await(t, 1)
	p.send(`{"command":"broadcast","args":{"channel":"c","content":"mine"},"id":1}`)
	testtool.Until(t, "it is given to the engine", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.tried == 1
	})
	ended := shutdown(srv)
	texts, _ := p.heard("never")
	slices.Sort(texts)
	if want := []string{`"mine"`, `{"id":1,"ok":true}`}; !slices.Equal(texts, want) {
		t.Errorf("before 1012: %s, want %s", texts, want)
	}
	_ = p.Close()
	await(t, ended)
}

// TestAShutdownTakesOverFromADrain: it does not wait for the time of the drain.
func TestAShutdownTakesOverFromADrain(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	peers := make([]*peer, 2*drainLeast)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
	}
	srv.Drain(time.Hour)
	ended := shutdown(srv)
	for _, p := range peers {
		p.expectClose(1012)
		_ = p.Close()
	}
	await(t, ended)
	if srv.Undrain() {
		t.Error("a node that has stopped can be undrained")
	}
}

// TestAReloadIsInForceForTheNextRequest, and ends nothing.
func TestAReloadIsInForceForTheNextRequest(t *testing.T) {
	t.Parallel()
	cfg := filled(Config{BroadcastingKey: "first", MaxChannelsPerConnection: 2})
	srv := start(t, cfg)
	p := connect(t, srv, "/ws")
	p.join("a")
	p.join("b")
	backend := dial(t, srv)
	backend.write(postRequest("/broadcast?key=first", `{"channel":"a","content":1}`))
	backend.expectStatus(201)
	p.expectText("1")

	cfg.BroadcastingKey, cfg.MaxChannelsPerConnection, cfg.AllowedOrigins = "second", 1, []string{"https://a.test"}
	srv.Reload(cfg)
	backend.write(postRequest("/broadcast?key=first", `{"channel":"a","content":2}`))
	backend.expectStatus(403)
	publisher := dial(t, srv)
	publisher.write(postRequest("/broadcast?key=second", `{"channel":"b","content":3}`))
	publisher.expectStatus(201)
	p.expectText("3")
	p.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	p.expectText(`{"id":1,"ok":false,"error":{"code":"limit","message":"this connection is a member of too many channels"}}`)
	page := dial(t, srv)
	page.write(upgradeHead("/ws", "Origin: https://b.test"))
	page.expectStatus(403)
}
