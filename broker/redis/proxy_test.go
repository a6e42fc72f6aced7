package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// proxy is a network between a node and its server that goes wrong.
type proxy struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newProxy(t *testing.T, s *redistest.Server) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{t: t, proxy: toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", s.Addr)}
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Stop)
	return p
}

func (p *proxy) dsn() string { return "redis://" + p.proxy.Listen }

// poison adds a fault in one direction: upstream is towards the server.
func (p *proxy) poison(kind, direction, attributes string) {
	p.t.Helper()
	text := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind+direction, kind, direction, attributes)
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		p.t.Fatal(err)
	}
}

// cure ends all faults.
func (p *proxy) cure() { p.proxy.Toxics.ResetToxics(context.Background()) }

// Late and in pieces is late and in pieces; nothing else changes.
func TestNetworkDelaysAndTrickles(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s)
	a, b := upNode(t, broker.Config{DSN: p.dsn()}), upNode(t, broker.Config{DSN: s.DSN()})
	p.poison("latency", "downstream", `{"latency":20,"jitter":10}`)
	p.poison("slicer", "downstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	p.poison("slicer", "upstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	a.Join("c", strings.Repeat("long", 1000))
	b.Join("c")
	var want []string
	for i := range 20 {
		content := fmt.Sprint(i) + strings.Repeat("☃", 100)
		a.MustPublish("c", content)
		want = append(want, content)
	}
	a.Expect("c", want...)
	b.Expect("c", want...)
	if got := a.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}

func TestNetworkIsCut(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s)
	n := upNode(t, broker.Config{DSN: p.dsn()})
	n.Join("c")
	p.poison("reset_peer", "downstream", `{"timeout":0}`)
	if err := n.Published("c", "lost?"); !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrDown) {
		t.Errorf("publish: %v", err)
	}
	brokertest.Until(t, "it is noticed", func() bool { return !n.Up() })
	p.cure()
	n.WaitUp()
	n.MustPublish("c", "after")
	n.Until("it", func() bool { return n.Last() == "after" })

	p.proxy.Stop() // everything is closed, and nothing listens
	brokertest.Until(t, "it is noticed", func() bool { return !n.Up() })
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	n.WaitUp()
	n.MustPublish("c", "again")
	n.Until("it", func() bool { return n.Last() == "again" })
}

// What the server sends is swallowed: connections stay, and nothing comes.
func TestNetworkSwallows(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	t.Parallel()
	for _, direction := range []string{"downstream", "upstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := newProxy(t, s)
			n := upNode(t, broker.Config{DSN: p.dsn()})
			n.Join("c")
			began := time.Now()
			p.poison("timeout", direction, `{"timeout":0}`)
			brokertest.Until(t, "it is noticed", func() bool { return !n.Up() }) // though nobody publishes
			t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
			p.cure()
			n.WaitUp()
			n.MustPublish("c", "after")
			n.Expect("c", "after")
		})
	}
}

// A server that nothing comes from is not opened, and Close does not wait for it.
func TestNetworkSwallowsFromTheStart(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s)
	p.poison("timeout", "downstream", `{"timeout":0}`)
	n := startNode(t, broker.Config{DSN: p.dsn() + "?dial_timeout=200ms"})
	brokertest.Until(t, "it is logged", func() bool { return strings.Contains(n.Logged(), "i/o timeout") })
	p.cure()
	n.WaitUp()
}
