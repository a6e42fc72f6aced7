package redis

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// A server closes idle connections. Nobody is told: they are opened again, and what is
// published is heard, once.
func TestAServerThatClosesIdleConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("a server's shortest timeout is seconds")
	}
	t.Parallel()
	s := redistest.Start(t, "--timeout", "1")
	n := upNode(t, broker.Config{DSN: s.DSN()}) // one without a channel, whose subscriber is idle too
	received := func() int {
		_, text, _ := strings.Cut(s.CLI("INFO", "stats"), "total_connections_received:")
		text, _, _ = strings.Cut(text, "\r")
		count, _ := strconv.Atoi(text)
		return count
	}
	var want []string
	for round := range 4 {
		before, asked := received(), 0
		brokertest.Until(t, "it was closed, and opened again", func() bool {
			asked++ // each question is a connection, too
			return received() > before+asked
		})
		if round == 2 {
			n.Join("c")
		}
		content := fmt.Sprint(round)
		n.MustPublish("c", content)
		if round >= 2 {
			want = append(want, content)
		}
	}
	n.Expect("c", want...)
	if st := n.Stats(); !st.Up || st.Connects != 1 || st.Publications["ok"] != 4 {
		t.Errorf("up %t after %d connects, publications %v", st.Up, st.Connects, st.Publications)
	}
	if strings.Contains(n.Logged(), "lost") {
		t.Errorf("the log has %s", n.Logged())
	}
	s.Stop() // which is no idle end, though the server is as silent
	brokertest.Until(t, "it is noticed", func() bool { return !n.Up() })
}

// A server that closes a connection in the moment in which a publication is on its way is
// asked first whether it has it, once it is known to close any: nothing is sent twice, and
// no outcome is unknown.
func TestAServerThatClosesWhenItIsPublishedTo(t *testing.T) {
	l := brokertest.Listen(t)
	var taken, conns atomic.Int32
	brokertest.Serve(l, func(conn net.Conn) {
		first := conns.Add(1) == 1
		logins := 0
		answerCommands(conn, func(command string) string {
			switch {
			case strings.HasPrefix(command, "PUBLISH"):
				taken.Add(1)
				return ":1\r\n"
			case strings.HasPrefix(command, "PING"):
				if logins++; first && logins == 2 { // not that of the login
					return ""
				}
				return "+PONG\r\n"
			}
			return helloMaster
		})
	})
	o, err := parseDSN("redis://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := &dialer{o: o, log: discard, limit: 100}
	link := &plainLink{to: brokertest.Nowhere{}}
	link.ctx, link.stop = t.Context(), func() {}
	conn, _, err := d.login(t.Context(), o.addrs[0], "", "")
	if err != nil {
		t.Fatal(err)
	}
	k := keepForLink(link, d, conn, newPipeline)
	defer k.close()
	k.idles.Store(true)
	pipe := k.ready(t.Context())
	pipe.mu.Lock()
	pipe.used = time.Now().Add(-time.Hour)
	pipe.mu.Unlock()
	batch := []*broker.Publication{{Channel: "c", Content: []byte("1"), Err: errors.New("no outcome")}}
	publishAt(t.Context(), k, "PUBLISH", batch)
	if batch[0].Err != nil || taken.Load() != 1 || conns.Load() != 2 || link.over.Load() {
		t.Errorf("outcome %v, taken %d times, %d connections, the link over: %t", batch[0].Err, taken.Load(), conns.Load(), link.over.Load())
	}
}

func TestEndsThatAreIdle(t *testing.T) {
	for _, test := range []struct {
		err  error
		ago  time.Duration
		want bool
	}{{io.EOF, 2 * time.Second, true}, {io.EOF, 0, false}, {errRESP, time.Hour, false}, {nil, time.Hour, false}} {
		if got := closedIdle(test.err, time.Now().Add(-test.ago)); got != test.want {
			t.Errorf("closedIdle(%v, %v ago) = %t", test.err, test.ago, got)
		}
	}
}
