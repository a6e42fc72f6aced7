package server

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoopbackRule: without a key, only direct peers on this machine may publish.
func TestLoopbackRule(t *testing.T) {
	const body = `{"channel":"c","content":1}`
	closed, log := startLogged(t, Config{})
	anyone, openLog := startLogged(t, Config{BroadcastOpen: true})
	if res := post(t, closed, "/broadcast", body); res.status != 201 {
		t.Errorf("from loopback: %d %q, want 201", res.status, res.body)
	}
	for _, header := range []string{
		"Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 127.0.0.1", "X-Forwarded-For:", "X-Forwarded-Host: a",
		"X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.1", "Via: 1.1 proxy", "CF-Connecting-IP: 192.0.2.1", "True-Client-IP: 192.0.2.1", "X-Client-IP: 192.0.2.1",
	} {
		res := post(t, closed, "/broadcast", body, header)
		if res.status != 403 || !strings.Contains(res.body, "-broadcasting-key") || !strings.Contains(res.body, "-broadcast-open") {
			t.Errorf("with %s: %d %q, want 403 and what to set", header, res.status, res.body)
		}
		if res := post(t, anyone, "/broadcast", body, header); res.status != 201 {
			t.Errorf("-broadcast-open with %s: %d %q, want 201", header, res.status, res.body)
		}
	}
	for what, book := range map[string]*logBook{"admits only direct loopback peers": log, "open to everyone": openLog} {
		if !strings.Contains(book.String(), "level=WARN") || !strings.Contains(book.String(), what) {
			t.Errorf("no warning %q in the log:\n%s", what, book)
		}
	}
}

// TestLoopbackRuleForRemotePeers connects from an address that is not loopback.
func TestLoopbackRuleForRemotePeers(t *testing.T) {
	addr := outsideAddr(t)
	const body = `{"channel":"c","content":1}`
	for _, c := range []struct {
		name    string
		cfg     Config
		headers []string
		want    int
	}{
		{"without a key", Config{}, nil, 403},
		{"without a key, claiming to be local", Config{}, []string{"X-Forwarded-For: 127.0.0.1"}, 403},
		{"-broadcast-open", Config{BroadcastOpen: true}, nil, 201},
		{"with the key", Config{BroadcastingKey: "k"}, []string{"Authorization: Bearer k"}, 201},
		{"a key, and -broadcast-open", Config{BroadcastingKey: "k", BroadcastOpen: true}, nil, 403},
	} {
		c.cfg.ListenAddr = net.JoinHostPort(addr, "0")
		if res := post(t, start(t, c.cfg), "/broadcast", body, c.headers...); res.status != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, res.status, res.body, c.want)
		}
	}
}

// outsideAddr is an address of this machine that is not loopback.
func outsideAddr(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// TestUnixSocket: sessions and backends on a unix socket; its peers are local.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	srv := start(t, Config{ListenAddr: "unix:" + path})
	p := connect(t, srv, "/ws")
	p.join("c")
	publish(t, srv, "c", `"by unix"`)
	p.expectText(`"by unix"`)
	if res := post(t, srv, "/broadcast", `{"channel":"c","content":1}`, "X-Forwarded-For: 192.0.2.1"); res.status != 403 {
		t.Errorf("through a proxy: %d, want 403", res.status)
	}
	p.write(closing(1000, ""))
	p.expectClose(1000)
	if err := srv.Shutdown(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// shortDir is a directory whose path leaves room for a socket; unix(7).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wsify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestIPv6: the same on [::1].
func TestIPv6(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	} else {
		_ = ln.Close()
	}
	srv := start(t, Config{ListenAddr: "[::1]:0"})
	connect(t, srv, "/ws").usable()
	publish(t, srv, "c", "1")
}

// TestNetHTTPClient: the standard library's client, with its keep-alive pool, is a
// backend like any other.
func TestNetHTTPClient(t *testing.T) {
	srv := start(t, Config{})
	member := connect(t, srv, "/ws")
	member.join("c")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 5 {
		res, err := client.Post("http://"+srv.Addr().String()+"/broadcast", "application/json",
			strings.NewReader(fmt.Sprintf(`{"channel":"c","content":%d}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("status %d, want 201", res.StatusCode)
		}
		member.expectText(fmt.Sprint(i))
	}
	if st := srv.Stats(); st.HandedOff != 1 {
		t.Errorf("%d connections for 5 requests, want 1", st.HandedOff)
	}
}
