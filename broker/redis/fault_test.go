package redis

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// Everything that is published after Up is delivered: nothing from before is in the way.
func TestEverythingAfterUpIsHeard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("c")
	for round := range 5 {
		s.Stop()
		brokertest.Until(t, "it is noticed", func() bool { return !n.Up() })
		s.Restart()
		n.WaitUp()
		var want []string
		for i := range 100 {
			content := fmt.Sprintf("%d/%d", round, i)
			n.MustPublish("c", content)
			want = append(want, content)
		}
		n.Until("all of the round", func() bool { return n.Count() >= 100 })
		n.Expect("c", want...)
		n.Forget()
	}
}

// A server that is stopped, and whose connections stay open, is noticed: at once by publishers, and
// in time by an idle node.
func TestIsPaused(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	t.Parallel()
	s := redistest.Start(t)
	n, quiet := upNode(t, broker.Config{DSN: s.DSN()}), upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("c")
	quiet.Join("c")
	s.Pause()
	began := time.Now()
	err := n.Published("c", "lost?")
	if !errors.Is(err, broker.ErrUnknown) {
		t.Errorf("publish: %v, want %v", err, broker.ErrUnknown)
	}
	brokertest.Until(t, "all notice", func() bool { return !n.Up() && !quiet.Up() })
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	s.Resume()
	n.WaitUp()
	quiet.WaitUp()
	quiet.MustPublish("c", "after")
	last := func(n *brokertest.Node) func() bool {
		return func() bool { return n.Last() == "after" }
	}
	n.Until("it", last(n))
	quiet.Until("it", last(quiet))
}

func TestSubscribersAreKilled(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("c", "d")
	s.CLI("CLIENT", "KILL", "TYPE", "pubsub")
	brokertest.Until(t, "the link is opened again", func() bool { return n.Stats().Connects > 1 && n.Up() })
	n.MustPublish("c", "1")
	s.CLI("CLIENT", "KILL", "TYPE", "normal") // the end of an idle connection is no news
	brokertest.Until(t, "a publication is taken", func() bool { return n.Published("c", "2") == nil })
	n.Expect("c", "1", "2")
	brokertest.Says(t, n.Logged(), "closed by the server", "the connection to redis")
}

// A server whose disk is full answers a PING with MISCONF. It is used all the same.
func TestWithAFullDisk(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--enable-protected-configs", "yes")
	n := upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("a", "b")
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
	brokertest.Until(t, "pings are refused", func() bool {
		out, _ := s.TryCLI("PING")
		return strings.HasPrefix(out, "MISCONF")
	})
	n.Unsubscribe("a")
	brokertest.Until(t, "the subscription has ended", func() bool { return s.Says("PUBSUB", "CHANNELS") == "b" })
	n.MustPublish("b", "1")
	n.Expect("b", "1")
	fresh := upNode(t, broker.Config{DSN: s.DSN()})
	fresh.Join("b")
	if got := n.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}

// Close does not wait for a server that does not answer.
func TestCloseWhileTheServerIsPaused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("c")
	s.Pause()
	outcome := make(chan error, 1)
	if _, _, err := n.Publish([]byte("c"), []byte("1"), func(_ broker.Receipt, err error) { outcome <- err }); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Outcome("Publish", outcome); !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrDown) {
		t.Errorf("outcome: %v", err)
	}
	s.Resume()
}

func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds")
	}
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port))
	brokertest.Until(t, "the replica is in step", func() bool { return strings.Contains(replica.Says("INFO", "replication"), "master_link_status:up") })
	sentinel := redistest.StartSentinel(t, "main", master, 500*time.Millisecond, "requirepass watch")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the sentinel:\n%s\nthe first master:\n%s", sentinel.Log(), master.Log())
		}
	})
	// A sentinel without the processor for two seconds would do nothing for thirty
	sentinel.CLI("-a", "watch", "--no-auth-warning", "SENTINEL", "DEBUG", "tilt-trigger", "600000", "info-period", "200", "publish-period", "200", "default-failover-timeout", "1000")
	brokertest.Until(t, "the sentinel knows the replica", func() bool {
		out, err := sentinel.TryCLI("-a", "watch", "--no-auth-warning", "SENTINEL", "replicas", "main")
		return err == nil && strings.Contains(out, replica.Addr)
	})
	dsn := "redis://127.0.0.1:1?addr=" + sentinel.Addr + "&master_set=main&sentinel_password=watch"
	a, b := upNode(t, keeping(dsn)), upNode(t, keeping(dsn))
	a.Join("c")
	b.Join("c", "h")
	at := []broker.Position{a.Place("h", "1")}
	anew := func() { // each master begins another epoch, because it may lack something
		t.Helper()
		before := at[len(at)-1]
		at = append(at, a.Place("h", "1"))
		if page := b.Read("h", before, 0); page.Complete || page.Tail.Epoch == before.Epoch || page.Tail != at[len(at)-1] {
			t.Errorf("after %q, %+v is read", before, page)
		}
		b.Until("the publications of all masters came", func() bool { return len(b.Contents("h")) == len(at) })
	}
	a.MustPublish("c", "1")
	a.Expect("c", "1")
	b.Expect("c", "1")
	master.Stop()
	brokertest.Until(t, "both notice", func() bool { return !a.Up() && !b.Up() })
	a.WaitUp()
	b.WaitUp()
	if got := replica.CLI("PUBSUB", "NUMSUB", "c"); got != "c\n2" {
		t.Errorf("the new master has %q", got)
	}
	anew()
	b.MustPublish("c", "2")
	a.Expect("c", "1", "2")
	b.Expect("c", "1", "2")
	brokertest.Says(t, openError(t, "redis://"+sentinel.Addr+"?master_set=other&sentinel_password=watch"), `no master named "other"`)
	brokertest.Says(t, openError(t, "redis://:watch@"+sentinel.Addr), "is a sentinel", "master_set")

	// The old master comes back as a replica; a failover by hand leaves it alive.
	master.Restart()
	brokertest.Until(t, "the old master is a replica", func() bool {
		return strings.Contains(master.Says("INFO", "replication"), "master_link_status:up")
	})
	connects := a.Stats().Connects
	for made := false; !made; { // a sentinel without the processor may abort the failover
		aborted := strings.Count(sentinel.Log(), "-failover-abort")
		brokertest.Until(t, "a failover begins", func() bool {
			out, _ := sentinel.TryCLI("-a", "watch", "--no-auth-warning", "SENTINEL", "failover", "main")
			return out == "OK"
		})
		brokertest.Until(t, "it ends", func() bool {
			out, _ := sentinel.TryCLI("-a", "watch", "--no-auth-warning", "SENTINEL", "get-master-addr-by-name", "main")
			made = strings.Contains(out, fmt.Sprint(master.Port))
			return made || strings.Count(sentinel.Log(), "-failover-abort") > aborted
		})
	}
	brokertest.Until(t, "both are at the first server again", func() bool {
		return a.Stats().Connects > connects && a.Up() && b.Up() && master.Says("PUBSUB", "NUMSUB", "c") == "c\n2"
	})
	a.MustPublish("c", "3")
	b.Expect("c", "1", "2", "3")
	anew()
}

// Open fails when the server never answers, and Close does not wait for it.
func TestNetworkSwallowsFromTheStart(t *testing.T) {
	s := redistest.Start(t)
	p := brokertest.NewProxy(t, s.Addr)
	p.Poison("timeout", "downstream", `{"timeout":0}`)
	n := startNode(t, broker.Config{DSN: "redis://" + p.Listen + "?dial_timeout=200ms"})
	brokertest.Until(t, "it is logged", func() bool { return strings.Contains(n.Logged(), "does not answer") })
	p.Cure()
	n.WaitUp()
}
