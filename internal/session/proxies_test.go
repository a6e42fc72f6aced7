package session

import (
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

const addressHeader = "X-Wsify-Remote-Addr"

// startBehind starts a server that trusts these proxies, with an authorizer that allows
// everything.
func startBehind(t *testing.T, addr string, trusted []string, protocol string) (*Server, *webhook) {
	t.Helper()
	hook := newWebhook(t, func(question) int { return 200 })
	return startOn(t, addr, Config{TrustedProxies: trusted, ProxyProtocol: protocol, AuthorizerURL: hook.URL}), hook
}

// lastAddress returns the client's address in the last question about an upgrade.
func (h *webhook) lastAddress() string {
	h.t.Helper()
	all := h.questions("connect")
	if len(all) == 0 {
		h.t.Fatal("the authorizer was not asked")
	}
	return all[len(all)-1].header.Get(addressHeader)
}

func TestTheClientIsTheFirstAddressFromTheRightThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"}, "")
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{[]string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{[]string{"X-Forwarded-For: 192.0.2.1:4711"}, "192.0.2.1:4711"},
		{[]string{"X-Forwarded-For: 2001:db8:2::1"}, "2001:db8:2::1"},
		{[]string{"X-Forwarded-For: 192.0.2.9, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		{[]string{"X-Forwarded-For: 192.0.2.9, 192.0.2.1", "X-Forwarded-For: 2001:db8:1::7, 10.1.2.3, 127.0.0.1"}, "192.0.2.1"},
		{[]string{"X-Forwarded-For: 10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{[]string{"X-Forwarded-For: 192.0.2.1, unknown, 10.1.2.3"}, "10.1.2.3"},
		{[]string{"X-Forwarded-For: 192.0.2.1, fe80::1%eth0"}, "socket"},
		{[]string{"X-Forwarded-For: nonsense"}, "socket"},
		{[]string{"X-Forwarded-For:"}, "socket"},
		{nil, "socket"},
		{[]string{`Forwarded: for=192.0.2.9, for="[2001:db8:2::1]:4711";proto=https, for=10.1.2.3`}, "[2001:db8:2::1]:4711"},
		{[]string{`Forwarded: for=192.0.2.9, for=_hidden`}, "socket"},
		{[]string{"Forwarded: for=192.0.2.9", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
	} {
		p := connect(t, srv, "/ws", c.headers...)
		want := c.want
		if want == "socket" {
			want = p.LocalAddr().String()
		}
		if got := hook.lastAddress(); got != want {
			t.Errorf("%q: the authorizer got %q, want %q", c.headers, got, want)
		}
		p.join("c") // the question about a command has the same address
		if joins := hook.questions("join"); joins[len(joins)-1].header.Get(addressHeader) != want {
			t.Errorf("%q: at a join the authorizer got %q, want %q", c.headers, joins[len(joins)-1].header.Get(addressHeader), want)
		}
	}
}

func TestAForgedHeaderOfAStrangerIsIgnored(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string][]string{"no trusted proxies": nil, "others": {"10.0.0.0/8", "::1", "unix"}} {
		srv, hook := startBehind(t, "127.0.0.1:0", trusted, "")
		p := connect(t, srv, "/ws", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1")
		if got := hook.lastAddress(); got != p.LocalAddr().String() {
			t.Errorf("%s: the authorizer got %q, want that of the socket, %s", name, got, p.LocalAddr())
		}
	}
}

func TestAProxyOnAUnixSocketIsTrustedIfTheListSaysSo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted []string
		want    string
	}{{[]string{"unix"}, "192.0.2.1"}, {[]string{"0.0.0.0/0", "::/0"}, ""}} {
		srv, hook := startBehind(t, "unix:"+filepath.Join(shortDir(t), "s"), c.trusted, "")
		connect(t, srv, "/ws", "X-Forwarded-For: 192.0.2.1")
		if got := hook.lastAddress(); got != c.want {
			t.Errorf("with %q the authorizer got %q, want %q", c.trusted, got, c.want)
		}
	}
}

// A request that has passed 64 trusted proxies is followed to its end. One more is too many.
func TestAtMost64ProxiesAreFollowed(t *testing.T) {
	t.Parallel()
	srv, hook := startBehind(t, "127.0.0.1:0", []string{"127.0.0.1", "10.0.0.0/8"}, "")
	for _, c := range []struct {
		proxies int
		want    string
	}{{63, "192.0.2.1"}, {64, "10.0.0.1"}, {65, "10.0.0.1"}} {
		connect(t, srv, "/ws", "X-Forwarded-For: 192.0.2.1"+strings.Repeat(", 10.0.0.1", c.proxies))
		if got := hook.lastAddress(); got != c.want {
			t.Errorf("behind %d proxies the authorizer got %q, want %q", c.proxies, got, c.want)
		}
	}
}

// A proxy keeps its connection, and sends a backend's publication and a client's upgrade
// over it.
func TestAKeptConnectionHasTheAddressOfItsLastRequest(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, func(question) int { return 200 })
	srv, book := startJSON(t, Config{TrustedProxies: []string{"127.0.0.1"}, AuthorizerURL: hook.URL, BroadcastingKey: "k"})
	p := dial(t, srv)
	p.write(postRequest("/broadcast?key=k", `{"channel":"c","content":1}`, "X-Forwarded-For: 192.0.2.1"))
	p.expectStatus(201)
	p.write(upgradeHead("/ws", "X-Forwarded-For: 192.0.2.2"))
	p.expectUpgrade()
	if got := hook.lastAddress(); got != "192.0.2.2" {
		t.Errorf("the authorizer got %q, want 192.0.2.2", got)
	}
	thief := dial(t, srv)
	thief.write(postRequest("/broadcast?key=guessed", `{"channel":"c","content":1}`, "X-Forwarded-For: 192.0.2.3"))
	thief.expectStatus(403)
	p.write(closing(1000, ""))
	p.expectClose(1000)
	for _, want := range []map[string]any{
		{"msg": "session opened", "addr": "192.0.2.2"},
		{"msg": "connection ended", "addr": "192.0.2.2"},
		{"msg": "publication refused", "addr": "192.0.2.3"},
	} {
		testtool.Until(t, "the log has the address", func() bool { return len(find(t, book, want)) == 1 })
	}
}

// The access log has the client's address, also of a backend and of a connection that has
// sent no request.
func TestTheAccessLogHasTheClientsAddress(t *testing.T) {
	t.Parallel()
	book := &testtool.Log{}
	srv := start(t, Config{
		TrustedProxies: []string{"127.0.0.1", "192.0.2.1"}, ProxyProtocol: ProxyRequired, AccessLogSample: 1,
		Logger: slog.New(slog.NewJSONHandler(book, nil)),
	})
	p := dial(t, srv)
	p.write(proxyLine + upgradeHead("/ws", "X-Forwarded-For: 198.51.100.1"))
	p.expectUpgrade()
	p.write(closing(1000, ""))
	p.expectClose(1000)
	backend := dial(t, srv)
	backend.write(proxyLine + postRequest("/broadcast", `{"channel":"c","content":1}`, "X-Forwarded-For: 198.51.100.2"))
	backend.expectStatus(201)
	_ = backend.Close()
	silent := dial(t, srv)
	before := srv.group.Stats().BytesReceived
	silent.write(proxyLine)
	handled(t, srv, before, len(proxyLine))
	_ = silent.Close()
	for _, addr := range []string{"198.51.100.1", "198.51.100.2", "192.0.2.1:4711"} {
		testtool.Until(t, "the record of "+addr, func() bool { return len(find(t, book, map[string]any{"addr": addr})) == 1 })
	}
}

// A limit for each address counts the clients of a proxy one by one.
func TestALimitForEachAddressKnowsTheClientsOfAProxy(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{TrustedProxies: []string{"127.0.0.1"}, ProxyProtocol: ProxyOptional, Limits: Limits{MaxConnectionsPerAddress: 1}})
	connect(t, srv, "/ws", "X-Forwarded-For: 192.0.2.7")
	connect(t, srv, "/ws", "X-Forwarded-For: 192.0.2.8")
	announced := dial(t, srv)
	announced.write(proxyLine + upgradeHead("/ws"))
	announced.expectUpgrade()
	for _, from := range []string{"192.0.2.7", "192.0.2.1:80"} { // by a header of each kind before
		p := dial(t, srv)
		p.write(upgradeHead("/ws", "X-Forwarded-For: "+from))
		p.expectStatus(429)
	}
}

// The next connection in the same slot has its own address.
func TestAnAddressIsForgottenWithItsConnection(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, func(question) int { return 200 })
	srv := start(t, Config{Loops: 1, TrustedProxies: []string{"127.0.0.1"}, AuthorizerURL: hook.URL})
	for i := range 65 { // slots are taken in turn, 64 of them
		p := connect(t, srv, "/ws", "X-Forwarded-For: 192.0.2.1")
		p.write(closing(1000, ""))
		p.expectClose(1000)
		testtool.Until(t, "it has ended", func() bool { return srv.Stats().Net.Connections == 0 })
		p = connect(t, srv, "/ws")
		if got := hook.lastAddress(); got != p.LocalAddr().String() {
			t.Fatalf("round %d: the authorizer got %q, want %s", i, got, p.LocalAddr())
		}
		p.write(closing(1000, ""))
		p.expectClose(1000)
		testtool.Until(t, "it has ended", func() bool { return srv.Stats().Net.Connections == 0 })
	}
}

// A client that has reset its connection has no address any more. It must not pass for
// the peer of a unix socket, which has none either.
func TestAResetConnectionIsNotTrusted(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1, TrustedProxies: []string{"unix"}})
	p := dial(t, srv)
	l := srv.loops[0]
	testtool.Until(t, "it is accepted", func() bool { return srv.Stats().Net.Connections == 1 })
	onLoop(t, l, func() { // where the loop cannot see the reset before we do
		_ = p.Conn.(*net.TCPConn).SetLinger(0)
		_ = p.Close()
		l.net.Each(func(c *netpoll.Conn) {
			testtool.Until(t, "the kernel forgets the address", func() bool { return !c.RemoteAddr().IsValid() })
			if l.node.proxies.trustsPeer(c, c.RemoteAddr().Addr()) {
				t.Error("a connection without an address is trusted as one of a unix socket")
			}
		})
	})
}

func TestAddressesOfProxiesCostNothingUnlessTheyAreBelieved(t *testing.T) {
	if n := unsafe.Sizeof(endpoint{}); n != 18 {
		t.Errorf("an address takes %d bytes, want 18", n)
	}
	for _, c := range []struct {
		cfg  Config
		want bool
	}{{Config{}, false}, {Config{TrustedProxies: []string{"unix"}}, true}, {Config{ProxyProtocol: ProxyRequired}, true}} {
		c.cfg.Loops = 1
		srv := start(t, c.cfg)
		_ = dial(t, srv)
		testtool.Until(t, "it is accepted", func() bool { return srv.Stats().Net.Connections == 1 })
		onLoop(t, srv.loops[0], func() {
			if got := srv.loops[0].told.Has(0); got != c.want {
				t.Errorf("with %q and %q the loop has memory for addresses: %t, want %t", c.cfg.TrustedProxies, c.cfg.ProxyProtocol, got, c.want)
			}
		})
	}
}

func TestEntriesOfTrustedProxies(t *testing.T) {
	for entry, want := range map[string]string{
		"unix": "", "10.0.0.0/8": "", "0.0.0.0/0": "", "::/0": "", "192.0.2.1": "", "2001:db8::1": "", "2001:db8::/32": "", "192.0.2.1/32": "",
		"":                    " is no address, no network such as 10.0.0.0/8, and not unix",
		"localhost":           "localhost is no address, no network such as 10.0.0.0/8, and not unix",
		"10.0.0.0/33":         "10.0.0.0/33 is no address, no network such as 10.0.0.0/8, and not unix",
		"10.0.0/8":            "10.0.0/8 is no address, no network such as 10.0.0.0/8, and not unix",
		"192.0.2.1:80":        "192.0.2.1:80 is no address, no network such as 10.0.0.0/8, and not unix",
		"fe80::1%eth0":        "fe80::1%eth0 is no address, no network such as 10.0.0.0/8, and not unix",
		"10.1.2.3/8":          "10.1.2.3/8 has bits behind its length; the network is 10.0.0.0/8",
		"::ffff:10.0.0.0/104": "::ffff:10.0.0.0/104 is an IPv4 address inside an IPv6 address; write it as IPv4",
		"::ffff:10.0.0.1":     "::ffff:10.0.0.1 is an IPv4 address inside an IPv6 address; write it as IPv4",
	} {
		got := ""
		if err := CheckProxy(entry); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckProxy(%q) = %q, want %q", entry, got, want)
		}
	}
}
