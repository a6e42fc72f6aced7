package brokertest

import (
	"net"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// Main runs the tests of an engine. A toxic leaks its goroutine when its connection is closed while it
// sends: a fault of toxiproxy.
func Main(m *testing.M) { testtool.Main(m, "github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run") }

// Patience and Until are those of testtool.
const Patience = testtool.Patience

// Until waits until a condition holds that no event reports.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	testtool.Until(t, what, holds)
}

// Says fails the test unless text contains all of these words.
func Says(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}

// Listen opens a port on loopback until the test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Serve serves each connection in a goroutine of its own until l is closed.
func Serve(l net.Listener, serve func(net.Conn)) {
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
}

// Nowhere is a broker.Sink that ignores every call.
type Nowhere struct{}

func (Nowhere) Received(_, _ []byte) {}
func (Nowhere) Confirmed(string)     {}
func (Nowhere) Ended(string, error)  {}
func (Nowhere) Returned()            {}
func (Nowhere) Deaf(string) bool     { return false }
func (Nowhere) Lost(error)           {}
