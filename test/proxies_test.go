package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// addresses is a webhook that allows everything and notes where clients come from.
type addresses struct {
	*httptest.Server
	mu   sync.Mutex
	last string
}

func noteAddresses(t *testing.T) *addresses {
	a := &addresses{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.last = r.Header.Get("X-Wsify-Remote-Addr")
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *addresses) address() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// from connects from another address of this machine, and returns the address with its port.
func from(t *testing.T, host, front string, headers http.Header) (addr string) {
	t.Helper()
	dialer := ws.Dialer{
		Header:  ws.HandshakeHeaderHTTP(headers),
		NetDial: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}).DialContext,
	}
	conn, early, _, err := dialer.Dial(t.Context(), "ws://"+front+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn, early)
	c.expect("open")
	c.join("news")
	return conn.LocalAddr().String()
}

// TestHAProxySaysWhoTheClientIs starts the balancer and the node of docs/operating.md, with each
// kind of PROXY header.
func TestHAProxySaysWhoTheClientIs(t *testing.T) {
	haproxy := need(t, "haproxy", "haproxy")
	flags := strings.Fields(console(readme(t, "node behind haproxy tcp"), "")[0].line)[1:]
	for _, kind := range []string{"send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl"} {
		t.Run(kind, func(t *testing.T) {
			hook := noteAddresses(t)
			s := serve(t, append(flags, "-authorizer-url", hook.URL, "-log-level", "debug")...)
			dir, port := t.TempDir(), freePort(t)
			front := fmt.Sprintf("127.0.0.1:%d", port)
			block := strings.NewReplacer("bind :80", "bind "+front, "localhost:3000", s.addr, "send-proxy-v2 ", kind+" ", "check ", "check inter 50ms ").Replace(readme(t, "haproxy tcp"))
			start(t, dir, nil, haproxy, "-f", writeFile(t, dir, "haproxy.cfg", block))
			awaitPort(t, port)
			want := from(t, "127.0.0.5", front, http.Header{"X-Forwarded-For": {"192.0.2.1"}}) // a forged header
			if got := hook.address(); got != want {
				t.Errorf("the authorizer got %q, want %q", got, want)
			}
			s.await("health checks of HAProxy", func() bool { return strings.Count(s.output(), "connection ended") > 5 })
			if strings.Contains(s.output(), "proxy_header") {
				t.Errorf("a health check was refused:\n%s", s.output())
			}
		})
	}
}

// TestNginxSaysWhoTheClientIs starts the nginx of docs/operating.md, which replaces what a client
// has sent, and one that appends to it.
func TestNginxSaysWhoTheClientIs(t *testing.T) {
	block := readme(t, "nginx")
	for _, added := range []string{"X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for", `Forwarded "for=$remote_addr;proto=$scheme"`} {
		t.Run(added, func(t *testing.T) {
			hook := noteAddresses(t)
			s := serve(t, "-trusted-proxies", "127.0.0.1,::1", "-authorizer-url", hook.URL)
			front := startNginx(t, s, strings.Replace(block, "X-Forwarded-For $remote_addr", added, 1))
			forged := http.Header{"X-Forwarded-For": {"192.0.2.1"}}
			if strings.HasPrefix(added, "Forwarded") {
				forged = http.Header{"Forwarded": {"for=192.0.2.1"}}
			}
			from(t, "127.0.0.5", front, forged)
			if got := hook.address(); got != "127.0.0.5" {
				t.Errorf("the authorizer got %q, want 127.0.0.5", got)
			}
		})
	}
}
