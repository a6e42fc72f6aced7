package session

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/internal/invariants"
	"wsify/internal/testtool"
)

// panicking is a broker with a bug.
type panicking struct{ broker.Broker }

func (b panicking) Publish(w *broker.Waiter, channel, content []byte, done func(broker.Receipt, error)) (bool, broker.Receipt, error) {
	if string(channel) == "panic" {
		panic("a bug in the broker")
	}
	return b.Broker.Publish(w, channel, content, done)
}

// A panic ends only the connection on which it happened. It is counted, and logged with
// its stack.
func TestAPanicEndsOneConnection(t *testing.T) {
	if invariants.Enabled {
		t.Skip("builds with assertions let a panic end the process")
	}
	book := &testtool.Log{}
	n, err := Open(filled(Config{Loops: 1, Logger: slog.New(slog.NewTextHandler(book, nil)), Limits: Limits{MaxConnections: 10}}))
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{Node: n, drain: 30 * time.Second}
	at, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.addr = at[0]
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	onLoop(t, srv.loops[0], func() { srv.broker = panicking{srv.broker} })
	other, unlucky := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	other.join("c")
	unlucky.join("c", "d")
	unlucky.send(`{"command":"broadcast","args":{"channel":"panic"},"id":1}`)
	if f, err := unlucky.next(); !isEnd(err) {
		t.Fatalf("got %v, %v; want the end", f, err)
	}
	idle(t, srv, 1, 1, 1)
	placesTaken(t, srv, 1)
	other.usable()
	backend := dial(t, srv)
	backend.write(postRequest("/broadcast", `{"channel":"panic","content":1}`))
	if _, err := backend.Read(make([]byte, 1)); !isEnd(err) {
		t.Errorf("a backend got %v, want the end", err)
	}
	post201(t, srv, "c", `"still here"`)
	other.expectText(`"still here"`)
	connect(t, srv, "/ws").usable()
	st := srv.Stats()
	if st.Net.Panics != 2 || st.Closed["internal"] != 2 || strings.Count(book.String(), "a bug in the broker") != 1 || // a repeated error is logged once in 10 s
		!strings.Contains(book.String(), "conn="+srv.name) {
		t.Errorf("%d panics, closed %v, log:\n%s", st.Net.Panics, st.Closed, book)
	}
}
