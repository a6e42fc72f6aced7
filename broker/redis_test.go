package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wsify/internal/redistest"
)

func TestRedisCarriesPublicationsBetweenNodes(t *testing.T) {
	s := redistest.Start(t)
	a, b := upRedisNode(t, Config{DSN: s.DSN()}), upRedisNode(t, Config{DSN: s.DSN() + "/3"})
	a.join("news")
	b.join("news", "sport")
	a.mustPublish("news", `"one"`)
	b.mustPublish("news", `"two"`)
	a.mustPublish("sport", `3`)
	a.wants("news", `"one"`, `"two"`)
	b.wants("news", `"one"`, `"two"`)
	b.wants("sport", `3`)
	if got := a.of("sport"); got != nil {
		t.Errorf("delivered %q where nobody has joined", got)
	}
}

// What v3 did, and what anybody's client of Redis does.
func TestRedisCarriesPublicationsOfOthers(t *testing.T) {
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN()})
	n.join("hello")
	if got := s.CLI("PUBLISH", "hello", `"hi"`); got != "1" {
		t.Errorf("PUBLISH answers %q, want 1 receiver", got)
	}
	n.wants("hello", `"hi"`)
}

func TestRedisChannelsHaveThePrefix(t *testing.T) {
	s := redistest.Start(t)
	a, b := upRedisNode(t, Config{DSN: s.DSN(), Prefix: "app:"}), upRedisNode(t, Config{DSN: s.DSN()})
	a.join("x")
	b.join("app:x", "x")
	a.mustPublish("x", "1")
	b.mustPublish("app:x", "2")
	a.wants("x", "1", "2")
	b.wants("app:x", "1", "2")
	if got := b.of("x"); got != nil {
		t.Errorf("delivered %q without the prefix", got)
	}
}

func TestRedisUnsubscribes(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "?protocol=3"} { // which v3 knew, and means nothing
		s := redistest.Start(t)
		n := upRedisNode(t, Config{DSN: s.DSN() + more})
		n.join("a", "b")
		n.Unsubscribe("a")
		untilRedis(t, "the subscription has ended", func() bool { return s.Says("PUBSUB", "CHANNELS") == "b" })
		n.join("a")
		n.mustPublish("a", "1")
		n.mustPublish("b", "2")
		n.wants("a", "1")
		n.wants("b", "2")
	}
}

func TestRedisChannelsMayHaveAnyName(t *testing.T) {
	s := redistest.Start(t)
	a, b := upRedisNode(t, Config{DSN: s.DSN()}), upRedisNode(t, Config{DSN: s.DSN()})
	names := []string{"with spaces", "line\r\nbreak", "*3\r\n$7\r\n", "naïve ☃ 漢字", "\x00nul", "%s{1}", strings.Repeat("long", 16<<10)}
	a.join(names...)
	b.join(names...)
	for i, name := range names {
		a.mustPublish(name, fmt.Sprint(i))
	}
	for i, name := range names {
		a.wants(name, fmt.Sprint(i))
		b.wants(name, fmt.Sprint(i))
	}
}

// Two nodes publish at once; both deliver one and the same order.
func TestRedisOrderIsTheEngines(t *testing.T) {
	s := redistest.Start(t)
	a, b := upRedisNode(t, Config{DSN: s.DSN(), BufferSize: 64 << 20}), upRedisNode(t, Config{DSN: s.DSN(), BufferSize: 64 << 20})
	a.join("order")
	b.join("order")
	each := 50_000
	if testing.Short() {
		each = 5_000
	}
	for i := range each {
		for _, n := range []*redisNode{a, b} {
			who := map[*redisNode]string{a: "a", b: "b"}[n]
			if _, err := n.Publish([]byte("order"), fmt.Appendf(nil, `"%s%d"`, who, i), func(err error) {
				if err != nil {
					t.Errorf("publish: %v", err)
				}
			}); err != nil {
				t.Fatalf("publish: %v", err)
			}
		}
	}
	for _, n := range []*redisNode{a, b} {
		n.wait("all publications", func() bool { return len(n.contents) >= 2*each })
	}
	first, second := a.of("order"), b.of("order")
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
func TestRedisDropsWhatIsTooBig(t *testing.T) {
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN(), MaxContent: 10})
	n.join("c")
	other := upRedisNode(t, Config{DSN: s.DSN()})
	for _, size := range []int{10, 11, 70_000, 3 << 20, 1} {
		other.mustPublish("c", strings.Repeat("x", size))
	}
	n.wants("c", "xxxxxxxxxx", "x")
	if got := n.Stats().Dropped["too_big"]; got != 3 {
		t.Errorf("%d dropped as too big, want 3", got)
	}
}

func TestRedisByASocketOfUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "redis") // of t.TempDir the path may be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "redis.sock")
	redistest.Start(t, "--unixsocket", socket)
	n := upRedisNode(t, Config{DSN: "unix://" + socket + "?db=1"})
	n.join("c")
	n.mustPublish("c", "1")
	n.wants("c", "1")
}

// Many subscriptions come back in batches, and Up waits for all.
func TestRedisManySubscriptionsComeBack(t *testing.T) {
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN()})
	names := manyChannels(20_000)
	n.join(names...)
	s.Stop()
	untilRedis(t, "it is noticed", func() bool { return !n.Up() })
	s.Restart()
	n.waitUp()
	if got := len(strings.Split(s.CLI("PUBSUB", "CHANNELS"), "\n")); got != len(names) {
		t.Errorf("up with %d subscriptions, want %d", got, len(names))
	}
	for _, name := range names[len(names)-10:] {
		n.mustPublish(name, "1")
		n.wants(name, "1")
	}
}

// A server ends the connection of who sends more than it takes: so it is asked before.
func TestRedisContentLargerThanTheServerTakesIsRefused(t *testing.T) {
	const most = redisLeastBulk
	s := redistest.Start(t, "--proto-max-bulk-len", strconv.Itoa(most))
	n := upRedisNode(t, Config{DSN: s.DSN(), MaxContent: 4 * most})
	n.join("news")
	if err := n.publish("news", strings.Repeat("x", most+1)); err != ErrTooBig {
		t.Errorf("Publish of a byte too many: %v, want %v", err, ErrTooBig)
	}
	n.mustPublish("news", strings.Repeat("x", most))
	n.wants("news", strings.Repeat("x", most))
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}
