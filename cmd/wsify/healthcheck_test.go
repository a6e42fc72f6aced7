//go:build linux

package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// serveHealth answers as an admin listener on addr, until the test ends.
func serveHealth(t *testing.T, network, addr string, h http.HandlerFunc) net.Addr {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = ln
	s.Start()
	t.Cleanup(s.Close)
	return ln.Addr()
}

func healthy(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/healthz" || r.Host != "localhost" {
		http.NotFound(w, r)
	}
}

func TestHealthcheckAsksTheListenerOfTheConfiguration(t *testing.T) {
	_, port, _ := net.SplitHostPort(serveHealth(t, "tcp", ":0", healthy).String())
	socket := filepath.Join(t.TempDir(), "admin.sock")
	serveHealth(t, "unix", socket, healthy)
	file := write(t, "admin-addr 127.0.0.1:"+port+"\n")
	for name, tc := range map[string]struct{ args, env string }{
		"a flag":               {args: "-admin-addr 127.0.0.1:" + port},
		"a port of any host":   {args: "-admin-addr :" + port},
		"any address":          {args: "-admin-addr 0.0.0.0:" + port},
		"any address of IPv6":  {args: "-admin-addr [::]:" + port},
		"a unix socket":        {args: "-admin-addr unix:" + socket},
		"the environment":      {env: "WSIFY_ADMIN_ADDR=127.0.0.1:" + port},
		"the file":             {args: "-config " + file},
		"a mistake elsewhere":  {args: "-loops 999 -admin-addr :" + port, env: "WSIFY_NONSENSE=1"},
		"a proxy for the rest": {args: "-admin-addr :" + port, env: "HTTP_PROXY=http://127.0.0.1:1"},
	} {
		got := start(append([]string{"healthcheck"}, strings.Fields(tc.args)...), []string{tc.env})
		if got.code != 0 || got.stdout != "wsify is healthy\n" || got.stderr != "" || got.served != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestHealthcheckSaysInOneLineWhatIsWrong(t *testing.T) {
	sick := serveHealth(t, "tcp", "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "event loop 0 has not answered in 5s\nevent loop 1 has not answered in 5s", http.StatusServiceUnavailable)
	}).String()
	long := serveHealth(t, "tcp", "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("x", maxHealthBody+1), http.StatusInternalServerError)
	}).String()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	_ = ln.Close()
	for _, tc := range []struct{ args, stderr string }{
		{"-admin-addr " + sick, "the server is not healthy: 503 Service Unavailable: event loop 0 has not answered in 5s; event loop 1 has not answered in 5s"},
		{"-admin-addr " + long, "the server is not healthy: 500 Internal Server Error: " + strings.Repeat("x", maxHealthBody)},
		{"-admin-addr " + closed, "the admin listener at " + closed + " does not answer: dial tcp " + closed + ": connect: connection refused"},
		{"-admin-addr unix:/nowhere/admin.sock", "the admin listener at unix:/nowhere/admin.sock does not answer: dial unix /nowhere/admin.sock: connect: no such file or directory"},
		{"-admin-addr fd://3", "only the server knows the address of fd://3: give healthcheck another -admin-addr, the one in the socket unit"},
		{"-admin-addr off", "the server has no admin listener to ask: -admin-addr is off"},
		{"-admin-addr off -loops 999", "the server has no admin listener to ask: -admin-addr is off (and the configuration is wrong: -loops: 999 is not between 1 and 256)"},
		{"now -nonsense", "unexpected argument \"now\"; argument 2 is no setting, and is not shown because it may belong to a secret"},
	} {
		got := start(append([]string{"healthcheck"}, strings.Fields(tc.args)...), nil)
		if got.code != 1 || got.stdout != "" || got.stderr != "wsify: "+tc.stderr+"\n" {
			t.Errorf("wsify healthcheck %s: exit %d, stdout %q, stderr\n%swant exit 1,\nwsify: %s", tc.args, got.code, got.stdout, got.stderr, tc.stderr)
		}
	}
}

func TestHealthcheckOfTheRealServer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	cmd := command(t, "-listen-addr", "127.0.0.1:0", "-admin-addr", "unix:"+socket)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	awaitListening(t, bufio.NewScanner(stderr))
	if code, stdout, said := exitCode(t, "healthcheck", "-admin-addr", "unix:"+socket); code != 0 || stdout != "wsify is healthy\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, said)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if code, stdout, said := exitCode(t, "healthcheck", "-admin-addr", "unix:"+socket); code != 1 || stdout != "" || strings.Count(said, "\n") != 1 {
		t.Errorf("after its end: exit %d, stdout %q, stderr %q", code, stdout, said)
	}
}
