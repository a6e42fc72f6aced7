package redis

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

func TestCarriesPublicationsBetweenNodes(t *testing.T) {
	s := redistest.Start(t)
	a, b := upNode(t, broker.Config{DSN: s.DSN()}), upNode(t, broker.Config{DSN: s.DSN() + "/3"})
	a.Join("news")
	b.Join("news", "sport")
	a.MustPublish("news", `"one"`)
	b.MustPublish("news", `"two"`)
	a.MustPublish("sport", `3`)
	a.Expect("news", `"one"`, `"two"`)
	b.Expect("news", `"one"`, `"two"`)
	b.Expect("sport", `3`)
	if got := a.Contents("sport"); got != nil {
		t.Errorf("delivered %q where nobody has joined", got)
	}
}

// What v3 did, and what anybody's client of Redis does.
func TestCarriesPublicationsOfOthers(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("hello")
	if got := s.CLI("PUBLISH", "hello", `"hi"`); got != "1" {
		t.Errorf("PUBLISH answers %q, want 1 receiver", got)
	}
	n.Expect("hello", `"hi"`)
}

func TestChannelsHaveThePrefix(t *testing.T) {
	s := redistest.Start(t)
	a, b := upNode(t, broker.Config{DSN: s.DSN(), Prefix: "app:"}), upNode(t, broker.Config{DSN: s.DSN()})
	a.Join("x")
	b.Join("app:x", "x")
	a.MustPublish("x", "1")
	b.MustPublish("app:x", "2")
	a.Expect("x", "1", "2")
	b.Expect("app:x", "1", "2")
	if got := b.Contents("x"); got != nil {
		t.Errorf("delivered %q without the prefix", got)
	}
}

func TestUnsubscribes(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "?protocol=3"} { // which v3 knew, and means nothing
		s := redistest.Start(t)
		n := upNode(t, broker.Config{DSN: s.DSN() + more})
		n.Join("a", "b")
		n.Unsubscribe("a")
		brokertest.Until(t, "the subscription has ended", func() bool { return s.Says("PUBSUB", "CHANNELS") == "b" })
		n.Join("a")
		n.MustPublish("a", "1")
		n.MustPublish("b", "2")
		n.Expect("a", "1")
		n.Expect("b", "2")
	}
}

func TestChannelsMayHaveAnyName(t *testing.T) {
	s := redistest.Start(t)
	a, b := upNode(t, broker.Config{DSN: s.DSN()}), upNode(t, broker.Config{DSN: s.DSN()})
	names := []string{"with spaces", "line\r\nbreak", "*3\r\n$7\r\n", "naïve ☃ 漢字", "\x00nul", "%s{1}", strings.Repeat("long", 16<<10)}
	a.Join(names...)
	b.Join(names...)
	for i, name := range names {
		a.MustPublish(name, fmt.Sprint(i))
	}
	for i, name := range names {
		a.Expect(name, fmt.Sprint(i))
		b.Expect(name, fmt.Sprint(i))
	}
}

// Two nodes publish at once; both deliver one and the same order.
func TestOrderIsTheEngines(t *testing.T) {
	s := redistest.Start(t)
	a, b := upNode(t, broker.Config{DSN: s.DSN(), BufferSize: 64 << 20}), upNode(t, broker.Config{DSN: s.DSN(), BufferSize: 64 << 20})
	a.Join("order")
	b.Join("order")
	each := 50_000
	if testing.Short() {
		each = 5_000
	}
	for i := range each {
		for _, n := range []*brokertest.Node{a, b} {
			who := map[*brokertest.Node]string{a: "a", b: "b"}[n]
			if _, err := n.Publish([]byte("order"), fmt.Appendf(nil, `"%s%d"`, who, i), func(err error) {
				if err != nil {
					t.Errorf("publish: %v", err)
				}
			}); err != nil {
				t.Fatalf("publish: %v", err)
			}
		}
	}
	for _, n := range []*brokertest.Node{a, b} {
		n.Until("all publications", func() bool { return n.Count() >= 2*each })
	}
	first, second := a.Contents("order"), b.Contents("order")
	if len(first) != 2*each || !slices.Equal(first, second) {
		t.Fatalf("the nodes deliver %d and %d publications, not the same %d", len(first), len(second), 2*each)
	}
	next := map[byte]int{}
	for _, c := range first {
		if want := fmt.Sprintf(`"%c%d"`, c[1], next[c[1]]); c != want {
			t.Fatalf("delivered %s, want %s", c, want)
		}
		next[c[1]]++
	}
}

// A long content is dropped and counted, and what follows is delivered.
func TestDropsWhatIsTooBig(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN(), MaxContent: 10})
	n.Join("c")
	other := upNode(t, broker.Config{DSN: s.DSN()})
	for _, size := range []int{10, 11, 70_000, 3 << 20, 1} {
		other.MustPublish("c", strings.Repeat("x", size))
	}
	n.Expect("c", "xxxxxxxxxx", "x")
	if got := n.Stats().Dropped["too_big"]; got != 3 {
		t.Errorf("%d dropped as too big, want 3", got)
	}
}

func TestByASocketOfUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "redis") // of t.TempDir the path may be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "redis.sock")
	redistest.Start(t, "--unixsocket", socket)
	n := upNode(t, broker.Config{DSN: "unix://" + socket + "?db=1"})
	n.Join("c")
	n.MustPublish("c", "1")
	n.Expect("c", "1")
}

// Many subscriptions come back in batches, and Up waits for all.
func TestManySubscriptionsComeBack(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN()})
	names := manyChannels(20_000)
	n.Join(names...)
	s.Stop()
	brokertest.Until(t, "it is noticed", func() bool { return !n.Up() })
	s.Restart()
	n.WaitUp()
	if got := len(strings.Split(s.CLI("PUBSUB", "CHANNELS"), "\n")); got != len(names) {
		t.Errorf("up with %d subscriptions, want %d", got, len(names))
	}
	for _, name := range names[len(names)-10:] {
		n.MustPublish(name, "1")
		n.Expect(name, "1")
	}
}

// A server ends the connection of who sends more than it takes: so it is asked before.
func TestContentLargerThanTheServerTakesIsRefused(t *testing.T) {
	const most = leastBulk
	s := redistest.Start(t, "--proto-max-bulk-len", strconv.Itoa(most))
	n := upNode(t, broker.Config{DSN: s.DSN(), MaxContent: 4 * most})
	n.Join("news")
	if err := n.Published("news", strings.Repeat("x", most+1)); err != broker.ErrTooBig {
		t.Errorf("Publish of a byte too many: %v, want %v", err, broker.ErrTooBig)
	}
	n.MustPublish("news", strings.Repeat("x", most))
	n.Expect("news", strings.Repeat("x", most))
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}
