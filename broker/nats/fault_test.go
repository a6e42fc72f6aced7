package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/internal/link"
	"wsify/internal/natstest"
)

func TestServerIsAwayAtStart(t *testing.T) {
	s := natstest.Start(t, nil)
	s.Stop()
	n := startNode(t, broker.Config{DSN: s.URL})
	n.Subscribe("news")
	n.Until("it says what is wrong", func() bool {
		return strings.Contains(n.Logged(), "NATS at "+s.URL) && strings.Contains(n.Logged(), "connection refused")
	})
	if err := n.Awaited("news"); err != broker.ErrDown {
		t.Errorf("Await: %v, want %v", err, broker.ErrDown)
	}
	s.Restart()
	n.Until("it is up", n.Up)
	n.MustPublish("news", "x")
	n.Expect("news", "x")
}

// numbered publishes numbers to a channel, one behind the other and some at once,
// until it is told to stop.
type numbered struct {
	n *brokertest.Node

	mu       sync.Mutex
	outcomes []error // by number
	pending  sync.WaitGroup
	stop     chan struct{}
	stopped  sync.WaitGroup
}

func publishAllTheTime(n *brokertest.Node, channel string) *numbered {
	p := &numbered{n: n, stop: make(chan struct{})}
	p.stopped.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-p.stop:
				return
			default:
			}
			p.publish(channel, i)
			if i%64 == 63 {
				p.pending.Wait()
			}
		}
	})
	return p
}

func (p *numbered) publish(channel string, i int) {
	p.mu.Lock()
	p.outcomes = append(p.outcomes, nil)
	p.mu.Unlock()
	p.pending.Add(1)
	pending, err := p.n.Publish([]byte(channel), fmt.Append(nil, i), func(err error) { p.set(i, err) })
	if !pending {
		p.set(i, err)
		time.Sleep(100 * time.Microsecond) // a client that was refused does not spin
	}
}

func (p *numbered) set(i int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outcomes[i] = err
	p.pending.Done()
}

// end returns the outcomes.
func (p *numbered) end() []error {
	close(p.stop)
	p.stopped.Wait()
	p.pending.Wait()
	return p.outcomes
}

// checkNumbers looks at what was received of what had these outcomes: once at most,
// in order, and nothing that was said not to be published.
func checkNumbers(t *testing.T, got []string, outcomes []error) {
	t.Helper()
	last := -1
	for _, c := range got {
		var i int
		if _, err := fmt.Sscan(c, &i); err != nil || i <= last {
			t.Fatalf("got %q after %d", c, last)
		}
		last = i
		if err := outcomes[i]; err != nil && !errors.Is(err, broker.ErrUnknown) {
			t.Errorf("got %d, whose outcome was %v", i, err)
		}
	}
}

func TestServerRestartsUnderLoad(t *testing.T) {
	s := natstest.Start(t, nil)
	a, b := upNode(t, broker.Config{DSN: s.URL}), upNode(t, broker.Config{DSN: s.URL})
	channels := []string{"load"}
	for i := range 1000 {
		channels = append(channels, fmt.Sprint("c", i))
	}
	a.Join(channels...)
	b.Join(channels...)
	load := publishAllTheTime(a, "load")
	for range 3 {
		before := b.Count()
		b.Until("it receives", func() bool { return b.Count() > before+1000 })
		s.Stop()
		a.Until("both are down", func() bool { return !a.Up() && !b.Up() })
		s.Restart()
		a.Until("both are up", func() bool { return a.Up() && b.Up() })
	}
	outcomes := load.end()
	a.MustPublish("c999", "last")
	for _, n := range []*brokertest.Node{a, b} {
		n.Expect("c999", "last")
		checkNumbers(t, n.Contents("load"), outcomes)
	}
	if !slices.ContainsFunc(outcomes, func(err error) bool { return errors.Is(err, broker.ErrDown) }) {
		t.Error("nothing was refused; the load had no part in it")
	}
}

// With nowhere to go, a node stays with a server in lame duck mode to the end.
func TestLameDuckWithoutOthers(t *testing.T) {
	s := natstest.Start(t, &server.Options{LameDuckGracePeriod: 500 * time.Millisecond, LameDuckDuration: time.Second})
	n := upNode(t, broker.Config{DSN: s.URL})
	n.Join("news")
	var shutdown sync.WaitGroup
	shutdown.Go(s.NATS.LameDuckShutdown)
	n.Until("the server left", func() bool { return !n.Up() })
	shutdown.Wait()
	if strings.Contains(n.Logged(), errLeaving.Error()) {
		t.Errorf("it did not stay: %s", n.Logged())
	}
	s.Restart()
	n.Until("it is up", n.Up)
	n.MustPublish("news", "x")
	n.Expect("news", "x")
}

// proxy is a network between nodes and a server that goes wrong.
type proxy struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newProxy(t *testing.T, s *natstest.Server) *proxy {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{t: t, proxy: toxiproxy.NewProxy(api, "nats", "127.0.0.1:0", strings.TrimPrefix(s.URL, "nats://"))}
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Stop)
	return p
}

func (p *proxy) url() string { return "nats://" + p.proxy.Listen }

// poison adds a fault in one direction: upstream is towards the server.
func (p *proxy) poison(kind, direction, attributes string) {
	p.t.Helper()
	toxic := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind+direction, kind, direction, attributes)
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) cure() { p.proxy.Toxics.ResetToxics(context.Background()) }

// Late and in pieces is late and in pieces; nothing else changes.
func TestNetworkDelaysAndTrickles(t *testing.T) {
	s := natstest.Start(t, nil)
	p := newProxy(t, s)
	a, b := upNode(t, broker.Config{DSN: p.url()}), upNode(t, broker.Config{DSN: s.URL})
	p.poison("latency", "downstream", `{"latency":20,"jitter":10}`)
	p.poison("slicer", "downstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	p.poison("slicer", "upstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	a.Join("c", strings.Repeat("long", 500))
	b.Join("c")
	var want []string
	for i := range 20 {
		content := fmt.Sprint(i) + strings.Repeat("☃", 100)
		a.MustPublish("c", content)
		want = append(want, content)
	}
	a.Expect("c", want...)
	b.Expect("c", want...)
	if st := a.Stats(); !st.Up || st.Connects != 1 {
		t.Errorf("up is %t after %d links, want the first to be up", st.Up, st.Connects)
	}
}

func TestNetworkIsCut(t *testing.T) {
	s := natstest.Start(t, nil)
	p := newProxy(t, s)
	n := upNode(t, broker.Config{DSN: p.url()})
	n.Join("c")
	load := publishAllTheTime(n, "c")
	for range 3 {
		before := n.Count()
		n.Until("it receives", func() bool { return n.Count() > before+100 })
		links := n.Stats().Connects
		p.proxy.Stop()
		n.Until("it is down", func() bool { return !n.Up() })
		if err := p.proxy.Start(); err != nil {
			t.Fatal(err)
		}
		n.Until("it is up again", func() bool { return n.Up() && n.Stats().Connects > links })
	}
	outcomes := load.end()
	n.MustPublish("c", fmt.Sprint(len(outcomes)))
	n.Until("the last came", func() bool {
		got := n.Contents("c")
		return len(got) > 0 && got[len(got)-1] == fmt.Sprint(len(outcomes))
	})
	checkNumbers(t, n.Contents("c"), append(outcomes, nil))
}

// A network that swallows what is sent is noticed without traffic, and a publication
// under way has an outcome.
func TestNetworkSwallows(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	for _, direction := range []string{"downstream", "upstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, nil)
			p := newProxy(t, s)
			idle, busy := upNode(t, broker.Config{DSN: p.url()}), upNode(t, broker.Config{DSN: p.url()})
			p.poison("timeout", direction, `{"timeout":0}`)
			if err := busy.Published("c", "x"); !errors.Is(err, broker.ErrUnknown) {
				t.Errorf("Publish: %v, want %v", err, broker.ErrUnknown)
			}
			busy.Until("the busy one is down, and says why", func() bool { return !busy.Up() && strings.Contains(busy.Logged(), link.ErrNoAnswer.Error()) })
			idle.Until("the idle one is down", func() bool { return !idle.Up() })
			p.cure()
			idle.Until("both are up", func() bool { return idle.Up() && busy.Up() })
		})
	}
}
