package broker

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/redistest"
)

func TestRedisIsAwayAtStart(t *testing.T) {
	s := redistest.Start(t)
	s.Stop()
	n := newRedisNode(t, Config{DSN: s.DSN()})
	n.Subscribe("c")
	if err := n.await("c"); err != ErrDown {
		t.Errorf("await: %v, want %v", err, ErrDown)
	}
	untilRedis(t, "the log says so", func() bool { return strings.Contains(n.said(), "connection refused") })
	saysAll(t, n.said(), "connect to redis at "+s.Addr)
	s.Restart()
	n.waitUp()
	n.mustPublish("c", "1")
	n.wants("c", "1")
}

// redisRecord is what became of publications.
type redisRecord struct {
	mu       sync.Mutex
	outcomes map[string]error
	pending  sync.WaitGroup
}

// load publishes one number after the other until stop, and keeps the outcomes.
func (r *redisRecord) load(t *testing.T, n *redisNode, who string, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		content := fmt.Sprintf("%s%d", who, i)
		r.pending.Add(1)
		pending, err := n.Publish([]byte("load"), []byte(content), func(err error) {
			r.note(content, err)
			r.pending.Done()
		})
		if !pending {
			r.note(content, err)
			r.pending.Done()
			time.Sleep(time.Millisecond) // the load of a client that was told no; nothing waits for it
		}
		if !isRedisOutcome(err) {
			t.Errorf("publish: %v", err)
		}
	}
}

func (r *redisRecord) note(content string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[content] = err
}

// The server is killed and started again while two nodes publish. Each node hears
// what it hears in one order and once. What the engine took while both were
// subscribed is heard by both: of what has a nil outcome only that may be missing
// which the server took and had not sent to the subscriber when it was killed, or
// took when the other node was not subscribed yet. After both are up nothing is.
func TestRedisIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := upRedisNode(t, Config{DSN: s.DSN()}), upRedisNode(t, Config{DSN: s.DSN()})
	a.join("load")
	b.join("load")
	for i := range 50 { // others, which have to be subscribed to again
		a.join(strconv.Itoa(i))
	}
	rec := redisRecord{outcomes: map[string]error{}}
	var stop atomic.Bool
	var publishers sync.WaitGroup
	publishers.Go(func() { rec.load(t, a, "a", &stop) })
	publishers.Go(func() { rec.load(t, b, "b", &stop) })
	for round := range 3 {
		before := len(a.of("load"))
		a.wait("load", func() bool { return len(a.contents) > before+500 })
		s.Stop()
		untilRedis(t, "both notice", func() bool { return !a.Up() && !b.Up() })
		s.Restart()
		a.waitUp()
		b.waitUp()
		if got := s.CLI("PUBSUB", "NUMSUB", "load"); got != "load\n2" {
			t.Errorf("round %d: up, and the engine has %q", round, got)
		}
	}
	stop.Store(true)
	publishers.Wait()
	rec.pending.Wait()
	a.mustPublish("load", "end")
	b.wait("the end", func() bool { return len(b.contents) > 0 && b.contents[len(b.contents)-1] == "end" })
	a.wait("the end", func() bool { return len(a.contents) > 0 && a.contents[len(a.contents)-1] == "end" })
	heard := map[*redisNode]map[string]bool{a: {}, b: {}}
	for n, set := range heard {
		last := map[byte]int{'a': -1, 'b': -1}
		for _, c := range n.of("load") {
			set[c] = true
			if i, err := strconv.Atoi(c[1:]); err == nil {
				if i <= last[c[0]] {
					t.Fatalf("delivered %s after %c%d", c, c[0], last[c[0]])
				}
				last[c[0]] = i
			}
		}
	}
	var ok, unknown, missing int
	for content, err := range rec.outcomes {
		switch {
		case err == nil:
			ok++
			if !heard[a][content] && !heard[b][content] {
				missing++
			}
		case errors.Is(err, ErrUnknown):
			unknown++
		case errors.Is(err, ErrDown), errors.Is(err, ErrFull):
			if heard[a][content] || heard[b][content] {
				t.Errorf("%s was delivered, and its outcome is %v", content, err)
			}
		default:
			t.Errorf("outcome of %s: %v", content, err)
		}
	}
	t.Logf("%d ok, %d unknown, %d of the ok that nobody heard", ok, unknown, missing)
	if ok < 1500 || missing > 3*2*maxPublications { // what was on its way at each kill
		t.Errorf("%d ok, %d of them heard by nobody", ok, missing)
	}
}

// Everything that is published after Up is heard: nothing of the time before is in
// the way.
func TestRedisEverythingAfterUpIsHeard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN()})
	n.join("c")
	for round := range 5 {
		s.Stop()
		untilRedis(t, "it is noticed", func() bool { return !n.Up() })
		s.Restart()
		n.waitUp()
		var want []string
		for i := range 100 {
			content := fmt.Sprintf("%d/%d", round, i)
			n.mustPublish("c", content)
			want = append(want, content)
		}
		n.wait("all of the round", func() bool { return len(n.contents) >= 100 })
		n.wants("c", want...)
		n.mu.Lock()
		n.channels, n.contents = nil, nil
		n.mu.Unlock()
	}
}

// A server that is stopped, and whose connections stay, is noticed: at once by who
// publishes, and in time by who does not.
func TestRedisIsPaused(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	t.Parallel()
	s := redistest.Start(t)
	n, quiet := upRedisNode(t, Config{DSN: s.DSN()}), upRedisNode(t, Config{DSN: s.DSN()})
	n.join("c")
	quiet.join("c")
	s.Pause()
	began := time.Now()
	err := n.publish("c", "lost?")
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("publish: %v, want %v", err, ErrUnknown)
	}
	untilRedis(t, "all notice", func() bool { return !n.Up() && !quiet.Up() })
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	s.Resume()
	n.waitUp()
	quiet.waitUp()
	quiet.mustPublish("c", "after")
	last := func(n *redisNode) func() bool {
		return func() bool { return len(n.contents) > 0 && n.contents[len(n.contents)-1] == "after" }
	}
	n.wait("it", last(n))
	quiet.wait("it", last(quiet))
}

func TestRedisSubscribersAreKilled(t *testing.T) {
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN()})
	n.join("c", "d")
	s.CLI("CLIENT", "KILL", "TYPE", "pubsub")
	untilRedis(t, "the link is opened again", func() bool { return n.Stats().Connects > 1 && n.Up() })
	n.mustPublish("c", "1")
	s.CLI("CLIENT", "KILL", "TYPE", "normal") // an end that is no news when the connection was idle
	untilRedis(t, "a publication is taken", func() bool { return n.publish("c", "2") == nil })
	n.wants("c", "1", "2")
	saysAll(t, n.said(), "closed by the server", "for subscriptions to redis")
}

// A server whose disk is full answers each PING by MISCONF. It is used all the same.
func TestRedisWithAFullDisk(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--enable-protected-configs", "yes")
	n := upRedisNode(t, Config{DSN: s.DSN()})
	n.join("a", "b")
	dir := t.TempDir() + "/gone"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Config("dir", dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.Config("save", "1 1")
	s.CLI("SET", "key", "value")
	untilRedis(t, "pings are refused", func() bool {
		out, _ := s.TryCLI("PING")
		return strings.HasPrefix(out, "MISCONF")
	})
	n.Unsubscribe("a")
	untilRedis(t, "the subscription has ended", func() bool { return s.Says("PUBSUB", "CHANNELS") == "b" })
	began := time.Now()
	untilRedis(t, "two pings were refused", func() bool { return time.Since(began) > 2*redisPingInterval })
	n.mustPublish("b", "1")
	n.wants("b", "1")
	fresh := upRedisNode(t, Config{DSN: s.DSN()})
	fresh.join("b")
	if got := n.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}

// Close does not wait for a server that does not answer.
func TestRedisCloseWhileTheServerIsPaused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := upRedisNode(t, Config{DSN: s.DSN()})
	n.join("c")
	s.Pause()
	outcome := make(chan error, 1)
	if _, err := n.Publish([]byte("c"), []byte("1"), func(err error) { outcome <- err }); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.result(outcome); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDown) {
		t.Errorf("outcome: %v", err)
	}
	s.Resume()
}

func TestRedisFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds")
	}
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port))
	untilRedis(t, "the replica is in step", func() bool { return strings.Contains(replica.Says("INFO", "replication"), "master_link_status:up") })
	sentinel := redistest.StartSentinel(t, "main", master, 500*time.Millisecond, "requirepass watch")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the sentinel:\n%s\nthe first master:\n%s", sentinel.Log(), master.Log())
		}
	})
	// One that was not given the processor for two seconds would do nothing for thirty.
	sentinel.CLI("-a", "watch", "--no-auth-warning", "SENTINEL", "DEBUG", "tilt-trigger", "600000", "info-period", "200", "publish-period", "200", "default-failover-timeout", "1000")
	untilRedis(t, "the sentinel knows the replica", func() bool {
		out, err := sentinel.TryCLI("-a", "watch", "--no-auth-warning", "SENTINEL", "replicas", "main")
		return err == nil && strings.Contains(out, replica.Addr)
	})
	dsn := "redis://127.0.0.1:1?addr=" + sentinel.Addr + "&master_set=main&sentinel_password=watch"
	a, b := upRedisNode(t, Config{DSN: dsn}), upRedisNode(t, Config{DSN: dsn})
	a.join("c")
	b.join("c")
	a.mustPublish("c", "1")
	a.wants("c", "1")
	b.wants("c", "1")
	master.Stop()
	untilRedis(t, "both notice", func() bool { return !a.Up() && !b.Up() })
	a.waitUp()
	b.waitUp()
	if got := replica.CLI("PUBSUB", "NUMSUB", "c"); got != "c\n2" {
		t.Errorf("the new master has %q", got)
	}
	b.mustPublish("c", "2")
	a.wants("c", "1", "2")
	b.wants("c", "1", "2")
	saysAll(t, redisOpenError(t, "redis://"+sentinel.Addr+"?master_set=other&sentinel_password=watch"), `no master named "other"`)
	saysAll(t, redisOpenError(t, "redis://:watch@"+sentinel.Addr), "is a sentinel", "master_set")

	// The old master comes back as a replica; a failover by hand leaves it alive.
	master.Restart()
	untilRedis(t, "the old master is a replica", func() bool {
		return strings.Contains(master.Says("INFO", "replication"), "master_link_status:up")
	})
	connects := a.Stats().Connects
	untilRedis(t, "a failover begins", func() bool {
		out, _ := sentinel.TryCLI("-a", "watch", "--no-auth-warning", "SENTINEL", "failover", "main")
		return out == "OK"
	})
	untilRedis(t, "both are at the first server again", func() bool {
		return a.Stats().Connects > connects && a.Up() && b.Up() && master.Says("PUBSUB", "NUMSUB", "c") == "c\n2"
	})
	a.mustPublish("c", "3")
	b.wants("c", "1", "2", "3")
}
