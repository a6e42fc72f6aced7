package brokertest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy is a faulty network between nodes and a server. Stop closes everything, Start listens
// again, and Listen is its address.
type Proxy struct {
	*toxiproxy.Proxy
	t testing.TB
}

// NewProxy returns a proxy to a server, until the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{t: t, Proxy: toxiproxy.NewProxy(api, "engine", "127.0.0.1:0", server)}
	p.Restart()
	t.Cleanup(p.Stop)
	return p
}

// Restart listens again after Stop.
func (p *Proxy) Restart() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// Poison adds a fault in one direction: upstream is towards the server.
func (p *Proxy) Poison(kind, direction, attributes string) {
	p.t.Helper()
	toxic := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind+direction, kind, direction, attributes)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.t.Fatal(err)
	}
}

// Cure removes all faults.
func (p *Proxy) Cure() { p.Toxics.ResetToxics(context.Background()) }
