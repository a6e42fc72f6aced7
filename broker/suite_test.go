package broker_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// The suite tests what every broker promises. It runs with each of rigs.

func TestEachNodeHearsAPublicationOnce(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, broker.Config{})}
		if r.stop != nil {
			nodes = append(nodes, r.up(t, broker.Config{}), r.up(t, broker.Config{}))
		}
		for _, n := range nodes {
			n.Join("news")
		}
		nodes[0].Join("own")
		last := nodes[len(nodes)-1]
		last.MustPublish("own", "1")
		if r.stop != nil {
			last.MustPublish("nobody's", "1")
		}
		for i, n := range nodes {
			n.MustPublish("news", fmt.Sprint(i))
		}
		want := make([]string, len(nodes))
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		for _, n := range nodes {
			n.Expect("news", want...)
		}
		nodes[0].Expect("own", "1")
		if got := last.Count(); len(nodes) > 1 && got != len(want) {
			t.Errorf("%d publications were delivered where one channel has members, want %d", got, len(want))
		}
	})
}

// After Await has reported a subscription in force, its members receive every publication.
func TestNothingIsMissedAfterAwait(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		other := n
		if r.stop != nil {
			other = r.up(t, broker.Config{})
		}
		for i := range 200 {
			channel := fmt.Sprintf("channel %d", i)
			n.Join(channel)
			other.MustPublish(channel, "1")
		}
		for i := range 200 {
			n.Expect(fmt.Sprintf("channel %d", i), "1")
		}
	})
}

// Publishers on two nodes publish to one channel. Both nodes keep each publisher's order, and where
// the engine has one order for all, both receive that one.
func TestEveryNodeHearsOneOrder(t *testing.T) {
	publishers, each, cfg := 4, 25_000, broker.Config{BufferSize: 64 << 20}
	if testing.Short() || raceEnabled {
		each = 2500
	}
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, cfg)}
		if r.stop != nil {
			nodes = append(nodes, r.up(t, cfg))
		}
		for _, n := range nodes {
			n.Join("c")
		}
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() { publishNumbers(nodes[p%len(nodes)], "c", p, each) })
		}
		publishing.Wait()
		for _, n := range nodes {
			brokertest.Until(t, "everything came", func() bool { return n.Count() == publishers*each })
			checkOrder(t, n.Contents("c"), publishers)
		}
		first := nodes[0].Contents("c")
		for _, n := range nodes[1:] {
			for i, got := range n.Contents("c") {
				if r.oneOrder && got != first[i] {
					t.Fatalf("publication %d is %q on one node and %q on another", i, first[i], got)
				}
			}
		}
	})
}

// publishNumbers publishes count numbers without waiting for each outcome, and waits for all
// outcomes at the end. Any goroutine may call it.
func publishNumbers(n *brokertest.Node, channel string, publisher, count int) {
	var pending sync.WaitGroup
	for i := range count {
		pending.Add(1)
		note := func(_ broker.Receipt, err error) {
			if err != nil {
				n.T.Errorf("publication %d: %v", i, err)
			}
			pending.Done()
		}
		later, err := true, broker.ErrFull
		for err == broker.ErrFull {
			later, _, err = n.Publish([]byte(channel), fmt.Appendf(nil, "%d:%d", publisher, i), note)
		}
		if !later {
			note(broker.Receipt{}, err)
		}
	}
	pending.Wait()
}

// checkOrder fails the test when a publisher's numbers are out of order.
func checkOrder(t *testing.T, got []string, publishers int) {
	t.Helper()
	next := make([]int, publishers)
	for i, content := range got {
		var p, k int
		if _, err := fmt.Sscanf(content, "%d:%d", &p, &k); err != nil || k != next[p] {
			t.Fatalf("publication %d is %q, want number %d of that publisher", i, content, next[p])
		}
		next[p]++
	}
}

// Names and contents are bytes that no broker interprets.
func TestAnyNameAndContentGoesThrough(t *testing.T) {
	names := []string{"a", "chat.room.1", "user:42", "with blank", "*", ">", "a.*", "a.>", ".a", "a.", "a..b", "$SYS.x", "_INBOX.x", "%20", "ä/ö\tü", "日本", "*3\r\n$7\r\n", "%s{1}", "\x00\x01\r\n", strings.Repeat("long", 63)}
	contents := []string{`"hi"`, "\x00 {\"user\":\"ann\"}\n1", `null`, `{"a":[1,2.50,"ü"]}`, strings.Repeat("x", 60<<10)}
	for _, prefix := range []string{"", "shop.1:"} {
		forEach(t, func(t *testing.T, r *rig) {
			n := r.up(t, broker.Config{Prefix: prefix})
			n.Join(names...)
			for _, name := range names {
				for _, c := range contents {
					n.MustPublish(name, c)
				}
			}
			for _, name := range names {
				n.Expect(name, contents...)
			}
		})
	}
}

// Nodes with different prefixes do not receive each other's publications.
func TestPrefixesKeepServicesApart(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		a, b, none := r.up(t, broker.Config{Prefix: "a:"}), r.up(t, broker.Config{Prefix: "b:"}), r.up(t, broker.Config{})
		a.Join("c")
		b.Join("c")
		none.Join("c", "a:c")
		a.MustPublish("c", "1")
		b.MustPublish("c", "2")
		none.MustPublish("c", "3")
		none.MustPublish("a:c", "4")
		a.Expect("c", "1", "4")
		b.Expect("c", "2")
		none.Expect("c", "3")
		none.Expect("a:c", "1", "4")
	})
}

// Publications of another client of the engine reach the members.
func TestAnyClientOfTheEngineMayPublish(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{MaxContent: 100})
		n.Join("hello")
		r.publish(t, "hello", `"hi"`)
		r.publish(t, "hello", strings.Repeat("x", 101))
		r.publish(t, "hello", "\xff")
		r.publish(t, "hello", `"again"`)
		n.Expect("hello", `"hi"`, `"again"`)
		if d := n.Stats().Dropped; d["too_big"] != 1 || d["not_utf8"] != 1 {
			t.Errorf("dropped %v, want one too_big and one not_utf8", d)
		}
	})
}

// The head does not count for the largest content. A publication whose head cannot be read, or does
// not end, is dropped and counted.
func TestAHeadIsNotContent(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{MaxContent: 10})
		n.Join("c")
		other := r.up(t, broker.Config{})
		head := string(broker.AppendHead(nil, &broker.Head{User: "ann"}))
		for _, content := range []string{head + "1234567890", head + "12345678901", "\x00 {\n1", "\x00" + strings.Repeat("x", 2*broker.MaxHead), head + "1"} {
			other.MustPublish("c", content)
		}
		n.Expect("c", head+"1234567890", head+"1")
		if d := n.Stats().Dropped; d["too_big"] != 1 || d["bad_head"] != 2 {
			t.Errorf("dropped %v, want one too_big and two bad_head", d)
		}
	})
}
