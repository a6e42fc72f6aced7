package session

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnixSocket: sessions and backends work on a unix socket.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	srv := startOn(t, "unix:"+path, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	post201(t, srv, "c", `"by unix"`)
	p.expectText(`"by unix"`)
	p.write(closing(1000, ""))
	p.expectClose(1000)
	if err := srv.Shutdown(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket file still exists: %v", err)
	}
}

// shortDir returns a directory whose path is short enough for a socket; unix(7).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wsify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestIPv6: sessions and backends work on [::1].
func TestIPv6(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	} else {
		_ = ln.Close()
	}
	srv := startOn(t, "[::1]:0", Config{})
	connect(t, srv, "/ws").usable()
	post201(t, srv, "c", "1")
}

// TestNetHTTPClient: the standard library's client, with its keep-alive pool, works as
// a backend.
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
	if got := srv.Stats().Accepted; got != 2 {
		t.Errorf("%d connections for a member and 5 requests, want 2", got)
	}
}
