package redis

import (
	"io"
	"net"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// A server closes idle connections. None of ours is idle, not even those of a node without
// channels.
func TestAServerThatClosesIdleConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("a server's shortest timeout is a second")
	}
	t.Parallel()
	s := redistest.Start(t, "--timeout", "1")
	n, quiet := upNode(t, broker.Config{DSN: s.DSN()}), upNode(t, broker.Config{DSN: s.DSN()})
	n.Join("c")
	for range 2 {
		idle, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("an idle connection ends by %v", err)
		}
		_ = idle.Close()
	}
	quiet.MustPublish("c", "1")
	n.Expect("c", "1")
	for _, n := range []*brokertest.Node{n, quiet} {
		if st := n.Stats(); !st.Up || st.Connects != 1 || strings.Contains(n.Logged(), "lost") {
			t.Errorf("up %t after %d connects; the log has %s", st.Up, st.Connects, n.Logged())
		}
	}
}
