package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

// startStreams starts a server with JetStream.
func startStreams(t *testing.T) *natstest.Server {
	t.Helper()
	return natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
}

// keeping is a configuration with history of channels whose names begin with h.
func keeping(dsn string) broker.Config {
	cfg := brokertest.Keeping(100, time.Hour)
	cfg.DSN, cfg.Prefix = dsn, "shop."
	return cfg
}

// streams returns another client of a server, and its stream of the prefix shop.
func streams(t *testing.T, url string) (*nats.Conn, jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "WSIFY_shop")
	if err != nil {
		t.Fatal(err)
	}
	return nc, js, s
}

func TestHistoryNeedsJetStream(t *testing.T) {
	s := natstest.Start(t, nil)
	n := startNode(t, keeping(s.URL))
	n.Until("it was refused", func() bool { return n.Stats().FailedConnects > 0 && strings.Contains(n.Logged(), "cannot be reached") })
	if n.Up() {
		t.Error("it is up")
	}
	brokertest.Says(t, n.Logged(), "history needs JetStream", "-history-channels off")
}

func TestHistoryNeedsAPrefixThatEndsWithADot(t *testing.T) {
	for prefix, want := range map[string]bool{"shop.": true, "a.b.": true, "": false, "shop": false, "shop:": false, strings.Repeat("=", 90) + ".": false, strings.Repeat("a", 249) + ".": true, strings.Repeat("a", 250) + ".": false} {
		cfg := keeping("")
		cfg.Prefix = prefix
		_, err := newEngine(cfg)
		if wrong := check(cfg).Prefix; (wrong == nil) != want || (err == nil) != want {
			t.Errorf("with the prefix %q: %v and %v, want it allowed: %t", prefix, wrong, err, want)
		}
		cfg.History = nil
		if wrong := check(cfg).Prefix; wrong != nil {
			t.Errorf("without history, the prefix %q is refused: %v", prefix, wrong)
		}
	}
}

func TestPrefixesHaveDifferentStreams(t *testing.T) {
	seen := map[string]string{}
	for _, prefix := range []string{"a.", "a.b.", "a_b.", "a=5Fb.", "a-b.", "é.", "a/b.", "A.", "a:."} {
		name := streamName(prefix)
		if seen[name] != "" || strings.ContainsAny(name, ". */\\>") {
			t.Errorf("%q has the stream %q, as %q", prefix, name, seen[name])
		}
		seen[name] = prefix
	}
}

// What wsify does not rely on stays as the operator has made it.
func TestTheStreamIsChangedToWhatIsNeeded(t *testing.T) {
	s := startStreams(t)
	nc, err := nats.Connect(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, _ := jetstream.New(nc)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "WSIFY_shop", Subjects: []string{"x"}, MaxBytes: 1 << 20, MaxAge: time.Minute, Storage: jetstream.MemoryStorage,
		NoAck: true, SubjectTransform: &jetstream.SubjectTransformConfig{Source: "x", Destination: "y"}})
	if err != nil {
		t.Fatal(err)
	}
	n := upNode(t, keeping(s.URL))
	first := n.Place("h", "1")
	n.Place("h", "2")
	if page := n.Read("h", first, 0); len(page.Entries) != 1 {
		t.Errorf("after %q, %+v is read", first, page)
	}
	_, _, stream := streams(t, s.URL)
	if cfg := stream.CachedInfo().Config; cfg.MaxBytes != 1<<20 || cfg.Storage != jetstream.MemoryStorage || cfg.MaxAge != time.Hour || cfg.MaxMsgsPerSubject != 101 || !cfg.AllowDirect || cfg.NoAck || cfg.SubjectTransform != nil || cfg.Duplicates != 2*time.Minute {
		t.Errorf("the stream is %+v", cfg)
	}
}

func TestAStreamThatWasReplacedHasAnotherEpoch(t *testing.T) {
	s := startStreams(t)
	n := upNode(t, keeping(s.URL))
	n.Join("h")
	before := n.Place("h", "1")
	n.Place("h", "2")
	_, js, _ := streams(t, s.URL)
	if err := js.DeleteStream(t.Context(), "WSIFY_shop"); err != nil {
		t.Fatal(err)
	}
	if err := n.Published("h", "3"); !errors.Is(err, broker.ErrDown) {
		t.Errorf("without the stream, the outcome is %v", err)
	}
	other := upNode(t, keeping(s.URL)) // makes another stream
	first := other.Place("h", "4")
	if first.Epoch == before.Epoch {
		t.Errorf("%q follows %q", first, before)
	}
	_, err := n.Broker.(broker.Historian).ReadHistory(t.Context(), "h", before, 0)
	if err == nil {
		t.Error("the link reads from a stream that it does not know")
	}
	n.Until("the link is lost and opened again", func() bool { return n.Stats().Connects >= 2 && n.Up() })
	if page := n.Read("h", before, 0); page.Complete || page.Tail != first {
		t.Errorf("after %q, %+v is read", before, page)
	}
}

// The same is noticed when only publications tell.
func TestASequenceThatGoesBackEndsTheLink(t *testing.T) {
	s := startStreams(t)
	n := upNode(t, keeping(s.URL))
	seen := []broker.Position{n.Place("h", "1"), n.Place("h", "2")}
	_, js, stream := streams(t, s.URL)
	cfg := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), "WSIFY_shop"); err != nil {
		t.Fatal(err)
	}
	n.Until("the stream is made anew", func() bool { // the server may still be removing the files of the first
		_, err := js.CreateStream(t.Context(), cfg)
		return err == nil
	})
	n.Until("the link is lost and opened again", func() bool {
		_ = n.Published("h", "3")
		return n.Stats().Connects >= 2 && n.Up()
	})
	if p := n.Place("h", "4"); p.Epoch == seen[0].Epoch {
		t.Errorf("%q follows %q", p, seen[1])
	}
}

func TestAPurgeIsNoticed(t *testing.T) {
	s := startStreams(t)
	n := upNode(t, keeping(s.URL))
	first, last := n.Place("h", "1"), n.Place("h", "2")
	_, _, stream := streams(t, s.URL)
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if page := n.Read("h", first, 0); page.Complete || page.Tail != last {
		t.Errorf("after %q, %+v is read", first, page)
	}
	if page := n.Read("h", last, 0); !page.Complete {
		t.Errorf("after %q, %+v is read", last, page)
	}
}

// A channel with a message now and then: the stream has forgotten the one before, the node has not.
func TestAnExpiredPublicationIsStillTheOneBefore(t *testing.T) {
	s := startStreams(t)
	cfg := keeping(s.URL)
	cfg.History.TTL = 200 * time.Millisecond
	n := upNode(t, cfg)
	n.Join("h", "h new")
	tail := n.Read("h new", broker.Position{}, 0).Tail
	first := n.Place("h", "1")
	_, _, stream := streams(t, s.URL)
	n.Until("it has expired", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	})
	n.Place("h", "2")
	n.Place("h new", "1")
	n.Until("both came", func() bool { return len(n.Contents("h")) == 2 && len(n.Contents("h new")) == 1 })
	if got := n.Heard("h")[1].Head.Prev; got != first.Offset {
		t.Errorf("the second is behind %d, want %d", got, first.Offset)
	}
	if got := n.Heard("h new")[0].Head.Prev; got != tail.Offset {
		t.Errorf("the first of another channel is behind %d, want %d", got, tail.Offset)
	}
}

// Other programs publish past the stream, or into it.
func TestOtherClientsMayPublishWithHistory(t *testing.T) {
	s := startStreams(t)
	n := upNode(t, keeping(s.URL))
	n.Join("h")
	nc, _, _ := streams(t, s.URL)
	for subject, content := range map[string]string{"shop.h": "past", inbound + "shop.h": "kept"} {
		if err := nc.Publish(subject, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	// A stream of somebody else gives no positions.
	forged := &nats.Msg{Subject: "shop.h", Data: []byte("forged"), Header: nats.Header{headerStream: {"OTHER"}, headerSequence: {"1"}, headerLast: {"0"}}}
	if err := nc.PublishMsg(forged); err != nil {
		t.Fatal(err)
	}
	n.Until("three came", func() bool { return len(n.Contents("h")) == 3 })
	for _, e := range n.Heard("h") {
		if kept := e.Head.Position.Epoch != ""; kept != (string(e.Content) == "kept") {
			t.Errorf("%q has the head %+v", e.Content, e.Head)
		}
	}
	if page := n.Read("h", broker.Position{}, 9); len(page.Entries) != 1 || string(page.Entries[0].Content) != "kept" {
		t.Errorf("%+v is kept", page)
	}
}

func TestRightsForHistoryOfNATS(t *testing.T) {
	user := func(name string, publish, subscribe []string) *server.User {
		return &server.User{Username: name, Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}}
	}
	s := natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		user("enough", []string{"shop.>", "_WSIFY.shop.>", "$JS.API.>"}, []string{"shop.>", "_INBOX.>"}),
		user("noapi", []string{"shop.>", "_WSIFY.shop.>"}, []string{"shop.>", "_INBOX.>"}),
		user("nostream", []string{"shop.>", "$JS.API.>"}, []string{"shop.>", "_INBOX.>"}),
	}})
	as := func(name string) broker.Config { return keeping(withUser(s.URL, name+":pw")) }
	n := upNode(t, as("enough"))
	n.Join("h")
	first, last := n.Place("h", "1"), n.Place("h", "2")
	if page := n.Read("h", first, 0); !page.Complete || page.Tail != last {
		t.Errorf("after %q, %+v is read", first, page)
	}
	no := startNode(t, as("noapi"))
	no.Until("it was refused", func() bool { return strings.Contains(no.Logged(), "cannot be reached") })
	brokertest.Says(t, no.Logged(), "history", "Permissions Violation", "$JS.API")
	denied := upNode(t, as("nostream"))
	if err := denied.Published("h", "3"); err == nil || errors.Is(err, broker.ErrUnknown) {
		t.Errorf("without the right to the stream, the outcome is %v", err)
	}
	if page := n.Read("h", last, 0); len(page.Entries) > 0 {
		t.Errorf("%+v is kept", page)
	}
	x, err := examine(t.Context(), as("noapi"))
	if err != nil || x.History == nil || x.Publish != nil || x.Deaf != nil {
		t.Errorf("the examination: %+v, %v", x, err)
	}
	if x, err := examine(t.Context(), as("enough")); err != nil || x.History != nil {
		t.Errorf("the examination: %+v, %v", x, err)
	}
}

// The leader of the stream is killed while a node publishes. What was acknowledged is there, in one
// order, and the node goes on.
func TestHistoryOutlivesAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	servers := natstest.JetStreamCluster(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	n := upNode(t, keeping(strings.Join(urls, ",")+"?replicas=3"))
	n.Join("h")
	began := n.Read("h", broker.Position{}, 0).Tail
	_, _, stream := streams(t, strings.Join(urls, ","))
	leader := stream.CachedInfo().Cluster.Leader
	at := slices.IndexFunc(servers, func(s *natstest.Server) bool { return s.NATS.Name() == leader })
	var acked []string
	for i := range 60 {
		if i == 30 {
			servers[at].Stop()
		}
		content := fmt.Sprint(i)
		n.Until("it is up", n.Up)
		if n.Published("h", content) == nil {
			acked = append(acked, content)
		}
	}
	n.Until("it publishes again", func() bool { return n.Published("h", "last") == nil })
	var page broker.Page
	n.Until("all is read", func() bool {
		var err error
		ctx, cancel := context.WithTimeout(t.Context(), brokertest.Patience)
		defer cancel()
		page, err = n.Broker.(broker.Historian).ReadHistory(ctx, "h", began, 0)
		return err == nil
	})
	if !page.Complete {
		t.Errorf("up to %q, %d are read, not complete", page.Tail, len(page.Entries))
	}
	next := 0
	for _, e := range page.Entries {
		if next < len(acked) && string(e.Content) == acked[next] {
			next++
		}
	}
	if next != len(acked) || len(acked) < 30 {
		t.Errorf("of %d acknowledged publications, %d are there in order", len(acked), next)
	}
}

// Answers of a server are read, or are an error.
func FuzzHistoryAnswers(f *testing.F) {
	f.Add("", "5", "0", "1", `{"message":{"seq":7}}`)
	f.Add("204", "", "", "", `{"error":{"code":404}}`)
	f.Add("404", "", "", "", `{"error":{"code":500,"description":"x"}}`)
	f.Add("408", "-1", "x", "\x00e-1-0 \n1", `[]`)
	f.Fuzz(func(t *testing.T, status, sequence, pending, content, answer string) {
		k := &keeper{epoch: "e", plan: &plan{stream: "s"}, seen: map[string]uint64{"c": 3}}
		m := &nats.Msg{Data: []byte(content), Header: nats.Header{}}
		for name, value := range map[string]string{headerStatus: status, headerSequence: sequence, headerPending: pending} {
			if value != "" {
				m.Header.Set(name, value)
			}
		}
		e, more, err := k.entry(m)
		if e != nil && (err != nil || e.Head.Position.Offset == 0 || e.Head.Position.Epoch != "e" || more != (pending != "")) || e == nil && more {
			t.Errorf("entry = %+v, %t, %v", e, more, err)
		}
		m.Header.Set(headerStream, "s")
		m.Header.Set(headerLast, pending)
		if p, _, ok := k.position(m, "c"); ok && fmt.Sprint(p.Offset) != strings.TrimLeft(sequence, "0+") && p.Offset != 0 {
			t.Errorf("%q is the position %q", sequence, p)
		}
		if seq, err := parseSequence([]byte(answer)); err != nil && seq != 0 {
			t.Errorf("%q is %d and %v", answer, seq, err)
		}
	})
}
