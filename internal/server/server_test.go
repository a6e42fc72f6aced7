package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
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
	if srv, err := Start(Config{ListenAddr: "nowhere", Loops: -1}); err == nil {
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
	go func() { ended <- Run(ctx, Config{ListenAddr: addr.String(), Loops: 1}) }()
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

	if err := Run(context.Background(), Config{ListenAddr: "256.0.0.1:1"}); err == nil {
		t.Error("Run with a bad address returned nil")
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
