package session

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"wsify/internal/testtool"
)

const (
	proxyLine   = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n"
	proxyBinary = "\r\n\r\n\x00\r\nQUIT\n" + "\x21\x11\x00\x13" + "\xc0\x00\x02\x01" + "\xc6\x33\x64\x02" + "\x12\x67" + "\x01\xbb" + "\x01\x00\x02h2" + "\x04\x00"
)

// healthCheck is LOCAL: the proxy connects for itself.
const healthCheck = "\r\n\r\n\x00\r\nQUIT\n" + "\x20\x00\x00\x00"

// proxyBinary6 has an IPv6 address, and an extension behind it.
const proxyBinary6 = "\r\n\r\n\x00\r\nQUIT\n" + "\x21\x21\x00\x29" +
	"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" +
	"\x12\x67" + "\x01\xbb" + "\x01\x00\x02h2"

// closedAtOnce expects the end of the connection without an answer.
func (p *peer) closedAtOnce() {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(p.r); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Errorf("got %q, %v; want the end without an answer", b, err)
	}
}

func TestAProxyHeaderNamesTheClient(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{ProxyOptional, ProxyRequired} {
		srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1"}, protocol)
		for header, want := range map[string]string{
			proxyLine: "192.0.2.1:4711", proxyBinary6: "[2001:db8::1]:4711", "PROXY UNKNOWN\r\n": "socket", healthCheck: "socket",
		} {
			p := dial(t, srv)
			p.write(header + upgradeHead("/ws", "X-Forwarded-For: 10.0.0.1")) // the client is not a trusted proxy
			p.expectUpgrade()
			p.usable()
			if want == "socket" {
				want = "10.0.0.1" // the proxy is
			}
			if got := hook.lastAddress(); got != want {
				t.Errorf("%s, after %q the authorizer got %q, want %q", protocol, header, got, want)
			}
		}
	}
}

// An HTTP proxy behind a TCP balancer: the balancer's header names the HTTP proxy, which is
// trusted and names the client.
func TestAProxyMayNameAnotherTrustedProxy(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1", "192.0.2.1"}, ProxyRequired)
	p := dial(t, srv)
	p.write(proxyLine + postRequest("/broadcast", `{"channel":"c","content":1}`, "X-Forwarded-For: 198.51.100.8"))
	p.expectStatus(201)
	p.write(upgradeHead("/ws", "X-Forwarded-For: 198.51.100.9"))
	p.expectUpgrade()
	if got := hook.lastAddress(); got != "198.51.100.9" {
		t.Errorf("the authorizer got %q, want 198.51.100.9", got)
	}
}

func TestAProxyHeaderMayBeCutAnywhere(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1"}, ProxyOptional)
	head := upgradeHead("/ws")
	for header, want := range map[string]string{proxyLine: "192.0.2.1:4711", proxyBinary6: "[2001:db8::1]:4711"} {
		for cut := 1; cut <= len(header)+1; cut++ {
			p := dial(t, srv)
			before := srv.group.Stats().BytesReceived
			p.write((header + head)[:cut])
			handled(t, srv, before, cut)
			p.write((header + head)[cut:])
			p.expectUpgrade()
			if got := hook.lastAddress(); got != want {
				t.Fatalf("%q cut at %d: the authorizer got %q, want %q", header, cut, got, want)
			}
			_ = p.Close()
		}
	}
}

func TestAWrongProxyHeaderClosesTheConnectionAtOnce(t *testing.T) {
	t.Parallel()
	wrong := []string{
		"PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\n", "PROXY " + strings.Repeat("x", 101),
		proxyBinary, // its length is a lie: the last extension is cut
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", "\r\n\r\n\x00\r\nQUIT\n\x31", "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x0c" + strings.Repeat("\x01", 12),
	}
	missing := []string{upgradeHead("/ws"), "PROXIES\r\n", "\r\nGET", "\x16\x03\x01"}
	for protocol, headers := range map[string][]string{ProxyOptional: wrong, ProxyRequired: append(wrong, missing...)} {
		hook := newWebhook(t, func(question) int { return 200 })
		srv, book := startJSON(t, Config{TrustedProxies: []string{"127.0.0.1"}, ProxyProtocol: protocol, AuthorizerURL: hook.URL})
		for i, header := range headers {
			p := dial(t, srv)
			p.write(header)
			p.closedAtOnce()
			st := srv.Stats()
			if st.Rejected["proxy_header"] != uint64(i+1) || st.Closed["handshake_refused"] == 0 {
				t.Errorf("%s %q: rejected %v, closed %v; want %d proxy_header", protocol, header, notZero(st.Rejected), notZero(st.Closed), i+1)
			}
		}
		if n := len(hook.questions()); n != 0 {
			t.Errorf("the authorizer was asked %d times", n)
		}
		if n := len(find(t, book, map[string]any{"msg": "handshake refused", "reason": "proxy_header"})); n != len(headers) {
			t.Errorf("%d records of refused headers, want %d", n, len(headers))
		}
	}
}

func TestAnOptionalProxyHeaderMayBeMissing(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1"}, ProxyOptional)
	for _, first := range []string{"", "\r\n"} { // an empty line before a request looks like the start of a header
		p := dial(t, srv)
		before := srv.group.Stats().BytesReceived
		whole := first + upgradeHead("/ws")
		p.write(whole[:1])
		handled(t, srv, before, 1)
		p.write(whole[1:])
		p.expectUpgrade()
		if got := hook.lastAddress(); got != p.LocalAddr().String() {
			t.Errorf("the authorizer got %q, want %s", got, p.LocalAddr())
		}
	}
	post201(t, srv, "c", "1") // P is the start of a header too
	long := dial(t, srv)
	long.write("GET /ws HTTP/1.1\r\nCookie: " + strings.Repeat("x", 16<<10))
	long.expectStatus(431)
}

// Whoever is not in the list may send no header, also where it is optional.
func TestAProxyHeaderOfAStrangerClosesTheConnection(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{ProxyOptional, ProxyRequired} {
		srv, hook := startBehind(t, "127.0.0.1:0", []string{"10.0.0.0/8", "unix"}, protocol)
		for _, header := range []string{proxyLine, proxyBinary6, "PROXY UNKNOWN\r\n", healthCheck} {
			p := dial(t, srv)
			p.write(header + upgradeHead("/ws"))
			p.closedAtOnce()
		}
		if n := srv.Stats().Rejected["proxy_header"]; n != 4 || len(hook.questions()) != 0 {
			t.Errorf("%s: %d rejected, %d questions; want 4 and none", protocol, n, len(hook.questions()))
		}
		if protocol == ProxyOptional {
			connect(t, srv, "/ws")
		}
	}
}

// HAProxy resets the connection of a health check at once. The loop may read the header
// when the kernel no longer knows from whom it is.
func TestAHealthCheckThatEndsWithAResetIsNotRefused(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1, ProxyProtocol: ProxyRequired, TrustedProxies: []string{"127.0.0.1"}})
	for range 10 {
		before := srv.Stats().Accepted
		release := holdLoop(t, srv.loops[0])
		p := dial(t, srv)
		p.write(healthCheck)
		_ = p.Conn.(*net.TCPConn).SetLinger(0)
		_ = p.Close()
		release()
		testtool.Until(t, "the connection has ended", func() bool { return srv.Stats().Accepted > before && srv.Stats().Net.Connections == 0 })
	}
	if st := srv.Stats(); st.Rejected["proxy_header"] != 0 || st.Closed["reset"] == 0 {
		t.Errorf("rejected %v, closed %v; want resets only", notZero(st.Rejected), notZero(st.Closed))
	}
}

// Without a list each peer counts as a proxy, if each has to send a header.
func TestWithoutAListEveryPeerMaySendTheRequiredHeader(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", nil, ProxyRequired)
	p := dial(t, srv)
	p.write(proxyLine + upgradeHead("/ws", "X-Forwarded-For: 10.0.0.1"))
	p.expectUpgrade()
	if got := hook.lastAddress(); got != "192.0.2.1:4711" {
		t.Errorf("the authorizer got %q, want 192.0.2.1:4711", got)
	}
}

func TestASlowProxyHeaderEndsByTheHandshakeTimeout(t *testing.T) {
	t.Parallel()
	for _, begun := range []string{"", "PROXY TCP4 192", proxyBinary6[:20]} {
		srv := start(t, Config{ProxyProtocol: ProxyRequired, HandshakeTimeout: 200 * time.Millisecond})
		p := dial(t, srv)
		p.write(begun)
		p.closedAtOnce()
		if n := srv.Stats().Rejected["proxy_header"]; n != 1 {
			t.Errorf("after %q: %d rejected, want 1", begun, n)
		}
	}
	srv := start(t, Config{ProxyProtocol: ProxyOptional, TrustedProxies: []string{"127.0.0.1"}, HandshakeTimeout: 200 * time.Millisecond})
	p := dial(t, srv)
	p.expectStatus(408) // it may be a client that has sent nothing
}

// A shutdown does not wait for headers.
func TestAShutdownEndsConnectionsThatHaveSentHalfAHeader(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{ProxyProtocol: ProxyRequired, HandshakeTimeout: time.Hour})
	p := dial(t, srv)
	before := srv.group.Stats().BytesReceived
	p.write("PROXY TCP4")
	handled(t, srv, before, len("PROXY TCP4"))
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown() }()
	p.closedAtOnce()
	_ = p.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the shutdown waits")
	}
	testtool.Until(t, "it is counted", func() bool { return srv.Stats().Closed["shutdown"] == 1 })
}
