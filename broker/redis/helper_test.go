package redis

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

var discard = slog.New(slog.DiscardHandler)

// startNode starts a node, and upNode waits until it is up.
func startNode(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Start(t, Driver.Open, cfg)
}

func upNode(t testing.TB, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Up(t, Driver.Open, cfg)
}

// openError returns the error of an engine that cannot be opened.
func openError(t *testing.T, dsn string) string {
	t.Helper()
	e, err := newEngine(broker.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), brokertest.Patience)
	defer cancel()
	l, _, err := e.Open(ctx, brokertest.Nowhere{})
	if err == nil {
		l.Close()
		t.Fatalf("open succeeds")
	}
	return err.Error()
}

// isOutcome reports whether err is a possible outcome of a publication while the engine stops and
// starts.
func isOutcome(err error) bool {
	return err == nil || errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrUnknown) || errors.Is(err, broker.ErrFull)
}
