package redis

import (
	"fmt"
	"os"
	"path/filepath"
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
		t.Errorf("delivered %q to a channel without members", got)
	}
}

func TestUnsubscribes(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "?protocol=3"} { // an option of v3 without effect
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

// A large content is dropped and counted, and the next ones are delivered.
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
	dir, err := os.MkdirTemp("", "redis") // the path of t.TempDir may be too long
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

// Many subscriptions are restored in batches, and Up waits for all.
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

// A server closes the connection of a client that sends too much, so its limit is asked for.
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
