package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// Loops that have ended do not answer.
func TestAServerIsAliveUntilItsLoopsEnd(t *testing.T) {
	srv := start(t, Config{Loops: 3})
	if !srv.Alive(t.Context()) {
		t.Error("a running server is not alive")
	}
	await(t, shutdown(srv))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if srv.Alive(ctx) {
		t.Error("a server that has stopped is alive")
	}
}

// TestStartRefusesABadConfig also checks that it opens nothing.
func TestStartRefusesABadConfig(t *testing.T) {
	if srv, err := Start(Config{ListenAddrs: []string{"nowhere"}, Loops: -1}); err == nil {
		_ = srv.Shutdown()
		t.Fatal("started")
	}
}

// TestRun checks that Run serves until its context ends, then returns nil.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr()
	_ = ln.Close() // a free port
	go func() { ended <- Run(ctx, Config{ListenAddrs: []string{addr.String()}, Loops: 1}) }()
	testtool.Until(t, "it listens", func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	c := connect(t, addr)
	c.usable(t)
	cancel()
	if text, err := c.heard(); err == nil || err.Error() != "closed with 1012" {
		t.Errorf("at the end: %q, %v; want to be closed with 1012", text, err)
	}
	await(t, ended)

	if err := Run(context.Background(), Config{ListenAddrs: []string{"256.0.0.1:1"}}); err == nil {
		t.Error("Run with a bad address returned nil")
	}
}

// A client of each address hears what is published at another one.
func TestSeveralAddressesAreListenedOnAtOnce(t *testing.T) {
	addrs := []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s"), "127.0.0.1:0"}
	if ln, err := net.Listen("tcp", "[::1]:0"); err == nil { // this machine has IPv6
		_ = ln.Close()
		addrs = append(addrs, "[::1]:0")
	}
	srv, book := startLogged(t, Config{ListenAddrs: addrs})
	if len(srv.Addrs()) != len(addrs) || srv.Addr() != srv.Addrs()[0] {
		t.Fatalf("it listens on %v, the first is %v; want %d", srv.Addrs(), srv.Addr(), len(addrs))
	}
	var clients []client
	for _, addr := range srv.Addrs() {
		c := connect(t, addr)
		if err := c.send(`{"command":"join","args":{"channel":"all"},"id":1}`); err != nil {
			t.Fatal(err)
		}
		if text, err := c.heard(); err != nil || text != `{"id":1,"ok":true}` {
			t.Fatalf("join on %s: %q, %v", addr, text, err)
		}
		clients = append(clients, c)
		if !strings.Contains(book.String(), addr.String()) {
			t.Errorf("the log does not have %s:\n%s", addr, book)
		}
	}
	if err := clients[0].send(`{"command":"broadcast","args":{"channel":"all","content":"hi"}}`); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		if text, err := c.heard(); err != nil || text != `"hi"` {
			t.Errorf("the client on %s heard %q, %v", srv.Addrs()[i], text, err)
		}
	}
}

// If one address of several is in use, the server does not start.
func TestOneAddressInUseIsTheEndOfTheStart(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	socket := filepath.Join(t.TempDir(), "s")
	_, err = Start(Config{ListenAddrs: []string{"unix:" + socket, busy.Addr().String()}, Loops: 1})
	if want := "listen on " + busy.Addr().String() + ": address already in use"; err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the other address is still there: %v", err)
	}
}

func TestARequiredProxyHeaderOfAnybodyIsWarnedAbout(t *testing.T) {
	const warning = "whoever connects may claim any address with a PROXY header"
	for _, c := range []struct {
		cfg  Config
		want bool
	}{
		{Config{ProxyProtocol: "required"}, true},
		{Config{ProxyProtocol: "required", TrustedProxies: []string{"10.0.0.0/8"}}, false},
		{Config{}, false},
	} {
		if _, book := startLogged(t, c.cfg); strings.Contains(book.String(), warning) != c.want {
			t.Errorf("with %q and %q, a warning: %t, want %t", c.cfg.ProxyProtocol, c.cfg.TrustedProxies, !c.want, c.want)
		}
	}
}

// TestStartTellsAboutTheAuthorizer: the log says at once that it is unreachable, and that any web
// page may use its visitor's cookies.
func TestStartTellsAboutTheAuthorizer(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	_, good := startLogged(t, Config{AuthorizerURL: hook.URL})
	testtool.Until(t, "the log tells of the authorizer", func() bool { return strings.Contains(good.String(), strings.TrimPrefix(hook.URL, "http://")) })
	if !strings.Contains(good.String(), "any web page may connect") {
		t.Errorf("no warning about -allowed-origins in\n%s", good)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	_, bad := startLogged(t, Config{AuthorizerURL: url, AllowedOrigins: []string{"https://a.test"}})
	testtool.Until(t, "the log warns", func() bool {
		return strings.Contains(bad.String(), "level=WARN") && strings.Contains(bad.String(), strings.TrimPrefix(url, "http://"))
	})
	if strings.Contains(bad.String(), "any web page may connect") {
		t.Errorf("a warning about -allowed-origins, which is set, in\n%s", bad)
	}
}
