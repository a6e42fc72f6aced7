package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"wsify/internal/redistest"
)

// redisProxy is a network between a node and its server that goes wrong.
type redisProxy struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newRedisProxy(t *testing.T, s *redistest.Server) *redisProxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &redisProxy{t: t, proxy: toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", s.Addr)}
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Stop)
	return p
}

func (p *redisProxy) dsn() string { return "redis://" + p.proxy.Listen }

// poison adds a fault in one direction: upstream is towards the server.
func (p *redisProxy) poison(kind, direction, attributes string) {
	p.t.Helper()
	text := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind+direction, kind, direction, attributes)
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		p.t.Fatal(err)
	}
}

// cure ends all faults.
func (p *redisProxy) cure() { p.proxy.Toxics.ResetToxics(context.Background()) }

// Late and in pieces is late and in pieces; nothing else changes.
func TestRedisNetworkDelaysAndTrickles(t *testing.T) {
	s := redistest.Start(t)
	p := newRedisProxy(t, s)
	a, b := upRedisNode(t, Config{DSN: p.dsn()}), upRedisNode(t, Config{DSN: s.DSN()})
	p.poison("latency", "downstream", `{"latency":20,"jitter":10}`)
	p.poison("slicer", "downstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	p.poison("slicer", "upstream", `{"average_size":7,"size_variation":5,"delay":10}`)
	a.join("c", strings.Repeat("long", 1000))
	b.join("c")
	var want []string
	for i := range 20 {
		content := fmt.Sprint(i) + strings.Repeat("☃", 100)
		a.mustPublish("c", content)
		want = append(want, content)
	}
	a.wants("c", want...)
	b.wants("c", want...)
	if got := a.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}

func TestRedisNetworkIsCut(t *testing.T) {
	s := redistest.Start(t)
	p := newRedisProxy(t, s)
	n := upRedisNode(t, Config{DSN: p.dsn()})
	n.join("c")
	p.poison("reset_peer", "downstream", `{"timeout":0}`)
	if err := n.publish("c", "lost?"); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDown) {
		t.Errorf("publish: %v", err)
	}
	untilRedis(t, "it is noticed", func() bool { return !n.Up() })
	p.cure()
	n.waitUp()
	n.mustPublish("c", "after")
	n.wait("it", func() bool { return len(n.contents) > 0 && n.contents[len(n.contents)-1] == "after" })

	p.proxy.Stop() // everything is closed, and nothing listens
	untilRedis(t, "it is noticed", func() bool { return !n.Up() })
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	n.waitUp()
	n.mustPublish("c", "again")
	n.wait("it", func() bool { return n.contents[len(n.contents)-1] == "again" })
}

// What the server sends is swallowed: connections stay, and nothing comes.
func TestRedisNetworkSwallows(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	t.Parallel()
	for _, direction := range []string{"downstream", "upstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := newRedisProxy(t, s)
			n := upRedisNode(t, Config{DSN: p.dsn()})
			n.join("c")
			began := time.Now()
			p.poison("timeout", direction, `{"timeout":0}`)
			untilRedis(t, "it is noticed", func() bool { return !n.Up() }) // though nobody publishes
			t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
			p.cure()
			n.waitUp()
			n.mustPublish("c", "after")
			n.wants("c", "after")
		})
	}
}

// A server that nothing comes from is not opened, and Close does not wait for it.
func TestRedisNetworkSwallowsFromTheStart(t *testing.T) {
	s := redistest.Start(t)
	p := newRedisProxy(t, s)
	p.poison("timeout", "downstream", `{"timeout":0}`)
	n := newRedisNode(t, Config{DSN: p.dsn() + "?dial_timeout=200ms"})
	untilRedis(t, "it is logged", func() bool { return strings.Contains(n.said(), "i/o timeout") })
	p.cure()
	n.waitUp()
}
