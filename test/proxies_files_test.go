package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

// front is a proxy with its configuration in deploy/proxies.
type front struct {
	file, program, pkg string
	run                []string          // its arguments, before the configuration's path
	here               map[string]string // what is replaced for the test
}

var fronts = []front{
	{"nginx.conf", "nginx", "nginx-light", []string{"-e", "stderr", "-g", "daemon off; pid DIR/pid;", "-p", "DIR", "-c"}, map[string]string{"listen 443": "listen 127.0.0.1:PORT"}},
	// It refuses a maximum for which there are no descriptors.
	{"haproxy.cfg", "haproxy", "haproxy", []string{"-f"}, map[string]string{"bind :443": "bind 127.0.0.1:PORT", "maxconn 100000": "maxconn 100"}},
	// It would ask for a certificate, and listen on port 80.
	{"Caddyfile", "caddy", "caddy", []string{"run", "--adapter", "caddyfile", "--config"}, map[string]string{
		"# Caddy 2.6":        "{\n\tadmin off\n\tauto_https disable_redirects\n}\n# Caddy 2.6",
		"\nws.example.com {": "\nlocalhost:PORT {\n\ttls /etc/ssl/wsify.pem /etc/ssl/wsify.key",
	}},
}

// start starts the proxy in front of s with the certificate of localhost, and returns its address.
func (f front) start(t *testing.T, s *server, certificate string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	here := strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(port), "/etc/ssl/", certificate+"/")
	text := read(t, filepath.Join(root, "deploy", "proxies", f.file))
	for old, changed := range f.here {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%s has %q %d times", f.file, old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, changed, 1)
	}
	text = strings.ReplaceAll(here.Replace(text), "127.0.0.1:3000", s.addr)
	args := []string{need(t, f.program, f.pkg)}
	for _, arg := range f.run {
		args = append(args, here.Replace(arg))
	}
	env := []string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	start(t, dir, env, append(args, writeFile(t, dir, f.file, text))...)
	awaitPort(t, port)
	return fmt.Sprintf("localhost:%d", port)
}

// localCertificate returns a directory with a certificate of localhost, as deploy/proxies names the
// files, and who has to trust it.
func localCertificate(t *testing.T) (dir string, trust *tls.Config) {
	t.Helper()
	dir = t.TempDir()
	command := "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost " +
		"-keyout wsify.key -out wsify.pem && cat wsify.pem wsify.key > wsify-bundle.pem"
	need(t, "openssl", "openssl")
	if out, err := run(t, dir, nil, "sh", "-c", command); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(t, filepath.Join(dir, "wsify.pem"))))
	return dir, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func TestProxiesOfDeployPassClientsOn(t *testing.T) {
	certificate, trust := localCertificate(t)
	for _, f := range fronts {
		t.Run(f.program, func(t *testing.T) {
			hook := noteAddresses(t)
			s := serve(t, "-trusted-proxies", "127.0.0.1", "-authorizer-url", hook.URL, "-allowed-origins", "self", "-ping-interval", "500ms")
			addr := f.start(t, s, certificate)
			_, port, _ := net.SplitHostPort(addr)
			dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}}).DialContext(ctx, network, "127.0.0.1:"+port)
			}
			dialer := ws.Dialer{TLSConfig: trust, NetDial: dial, Header: ws.HandshakeHeaderHTTP(http.Header{
				"Origin": {"https://" + addr}, "X-Forwarded-For": {"192.0.2.1"}, // a forged header
			})}
			conn, early, _, err := dialer.Dial(t.Context(), "wss://"+addr+"/ws")
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, conn, early)
			c.expect("open")
			c.join("news")
			if got := hook.address(); got != "127.0.0.5" {
				t.Errorf("the authorizer is told that the client is %q", got)
			}
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":1}}`, "message 1")
			web := http.Client{Transport: &http.Transport{TLSClientConfig: trust, DialContext: dial}}
			answer, err := web.Post("https://"+addr+"/broadcast", "application/json", strings.NewReader(`{"channel":"news"}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusNotFound {
				t.Errorf("POST /broadcast through the proxy: %s", answer.Status)
			}
			stream := follow(t, &web, "https://"+addr+"/sse?channel=news", http.Header{"Origin": {"https://" + addr}})
			if got := hook.address(); got != "127.0.0.5" {
				t.Errorf("the authorizer is told that the client of a stream is %q", got)
			}
			stream.expect(":") // a heartbeat, through whatever the proxy buffers
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":"`+strings.Repeat("x", 20_000)+`"}}`, `message "`+strings.Repeat("x", 20_000)+`"`)
			stream.expectData(`{"channel":"news","content":"` + strings.Repeat("x", 20_000) + `"}`)
			s.stop(syscall.SIGTERM)
			stream.expectClose()
			c.expect("close 1012 this node restarts, reconnect")
		})
	}
}

// TestEnvoyConfigurationIsOneOfEnvoy checks the configuration against Envoy's own types. Envoy
// itself is in no package that the tests can install.
func TestEnvoyConfigurationIsOneOfEnvoy(t *testing.T) {
	text := readYAML(t, filepath.Join(root, "deploy", "proxies", "envoy.yaml"))
	check := func(config string) (string, error) {
		cmd := exec.CommandContext(t.Context(), checker(t, "envoy"))
		cmd.Stdin = strings.NewReader(config)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(text); err != nil {
		t.Errorf("envoy.yaml: %s", out)
	}
	// The check itself, down to what is packed in the configuration.
	for old, wrong := range map[string]string{`"stat_prefix":"clients"`: `"stat_prefix":""`, `"upgrade_type"`: `"upgrade"`} {
		if out, err := check(strings.Replace(text, old, wrong, 1)); err == nil {
			t.Errorf("with %s: no error %s", wrong, out)
		}
	}
}
