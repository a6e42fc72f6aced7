package nats

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// startNode starts a node, and upNode waits until it is up.
func startNode(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Start(t, Driver.Open, cfg)
}

func upNode(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Up(t, Driver.Open, cfg)
}

var discard = slog.New(slog.DiscardHandler)

func withTimeout(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), brokertest.Patience)
}

func mustDSN(t testing.TB, dsn string) *address {
	t.Helper()
	d, err := parseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dialRaw returns a connection to a server without nats.go.
func dialRaw(t testing.TB, s *natstest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(brokertest.Patience))
	if _, err := conn.Write([]byte("CONNECT {\"verbose\":false}\r\n")); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readUntil reads from the server until a word arrives.
func readUntil(t testing.TB, conn net.Conn, word string) {
	t.Helper()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), word) {
			return
		}
	}
	t.Fatalf("the server never said %s: %v", word, lines.Err())
}
