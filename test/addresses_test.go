package test

import (
	"fmt"
	"strings"
	"testing"
)

// A proxy with two addresses uses both, so it has twice the ports.
func TestReadmeGivesProxiesMoreAddresses(t *testing.T) {
	t.Run("haproxy", func(t *testing.T) {
		haproxy := need(t, "haproxy", "haproxy")
		connectFromTwo(t, func(block func(string) string, port int) {
			conf := writeFile(t, t.TempDir(), "haproxy.cfg", fmt.Sprintf("defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    timeout tunnel 60s\n"+
				"frontend clients\n    bind 127.0.0.1:%d\n    default_backend wsify\n%s", port, block("haproxy addresses")))
			start(t, t.TempDir(), nil, haproxy, "-f", conf, "-db")
		})
	})
	t.Run("nginx", func(t *testing.T) {
		nginx := need(t, "nginx", "nginx-light")
		connectFromTwo(t, func(block func(string) string, port int) {
			dir := t.TempDir()
			servers := strings.Replace(block("nginx addresses"), "listen 80;", fmt.Sprintf("listen 127.0.0.1:%d;", port), 1)
			conf := writeFile(t, dir, "nginx.conf", fmt.Sprintf("daemon off;\nmaster_process off;\npid %[1]s/pid;\nerror_log stderr;\nevents {}\n"+
				"http {\naccess_log off;\nclient_body_temp_path %[1]s/body;\nproxy_temp_path %[1]s/proxy;\nfastcgi_temp_path %[1]s/fastcgi;\n"+
				"uwsgi_temp_path %[1]s/uwsgi;\nscgi_temp_path %[1]s/scgi;\n%[2]s}\n", dir, servers))
			start(t, dir, nil, nginx, "-p", dir, "-c", conf)
		})
	})
}

// connectFromTwo connects clients through a proxy whose addresses are on loopback, until the
// server has seen both.
func connectFromTwo(t *testing.T, proxy func(block func(string) string, port int)) {
	t.Helper()
	s := serve(t, "-log-level", "debug")
	port := freePort(t)
	here := strings.NewReplacer("10.0.0.10:3000", s.addr, "10.0.0.", "127.0.0.")
	proxy(func(name string) string { return here.Replace(readme(t, name)) }, port)
	awaitPort(t, port)
	for range 32 { // nginx divides them by a hash: all go one way once in four thousand million times
		dialGo(t, fmt.Sprintf("ws://127.0.0.1:%d/ws", port)).expect("open")
	}
	s.await("connections from both addresses", func() bool {
		return strings.Contains(s.output(), `"127.0.0.2:`) && strings.Contains(s.output(), `"127.0.0.3:`)
	})
}
