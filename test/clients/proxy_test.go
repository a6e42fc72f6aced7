package clients

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/pires/go-proxyproto"
)

// TestProxyHeadersOfAnotherImplementation: wsify reads what go-proxyproto writes.
func TestProxyHeadersOfAnotherImplementation(t *testing.T) {
	addresses := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		addresses <- r.Header.Get("X-Wsify-Remote-Addr")
	}))
	t.Cleanup(hook.Close)
	s := serve(t, "-proxy-protocol", "required", "-trusted-proxies", "127.0.0.1", "-authorizer-url", hook.URL, "-authorizer-events", "connect")
	v4, v6 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 65535}
	for _, c := range []struct {
		name string
		proxyproto.Header
		tlvs []proxyproto.TLV
		want string // empty: the address of the socket
	}{
		{"1, IPv4", proxyproto.Header{Version: 1, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4, SourceAddr: v4, DestinationAddr: v4}, nil, "192.0.2.1:4711"},
		{"1, IPv6", proxyproto.Header{Version: 1, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv6, SourceAddr: v6, DestinationAddr: v6}, nil, "[2001:db8::1]:65535"},
		{"1, mapped", proxyproto.Header{Version: 1, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv6, SourceAddr: v4, DestinationAddr: v6}, nil, "192.0.2.1:4711"},
		{"1, unknown", proxyproto.Header{Version: 1, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}, nil, ""},
		{"2, IPv4", proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4, SourceAddr: v4, DestinationAddr: v4}, nil, "192.0.2.1:4711"},
		{"2, IPv6", proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv6, SourceAddr: v6, DestinationAddr: v6}, nil, "[2001:db8::1]:65535"},
		{"2, extensions", proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4, SourceAddr: v4, DestinationAddr: v4},
			[]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_ALPN, Value: []byte("h2")}, {Type: proxyproto.PP2_TYPE_AUTHORITY, Value: make([]byte, 255)}}, "192.0.2.1:4711"},
		{"2, a health check", proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}, nil, ""},
		{"2, a unix socket", proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.UnixStream,
			SourceAddr: &net.UnixAddr{Name: "/a", Net: "unix"}, DestinationAddr: &net.UnixAddr{Name: "/b", Net: "unix"}}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.SetTLVs(c.tlvs); c.tlvs != nil && err != nil {
				t.Fatal(err)
			}
			dialer := websocket.Dialer{HandshakeTimeout: patience, NetDial: func(network, addr string) (net.Conn, error) {
				conn, err := net.Dial(network, addr)
				if err == nil {
					_, err = c.WriteTo(conn)
				}
				return conn, err
			}}
			conn, _, err := dialer.Dial(s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			want := c.want
			if want == "" {
				want = conn.LocalAddr().String()
			}
			if got := <-addresses; got != want {
				t.Errorf("the authorizer got %q, want %q", got, want)
			}
		})
	}
}
