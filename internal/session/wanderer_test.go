package session

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func newRandom(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 3)) }

// wanderer is a client that drops its connection now and then, and comes back to any node from the
// last position that it has got. What is published are the numbers from 1 on.
type wanderer struct {
	t        *testing.T
	nodes    []*Server
	random   *rand.Rand
	position string
	next     int
}

// typedMessage is what a client with an envelope gets.
type typedMessage struct {
	Type, Position string
	Content        int
	OK             bool
	Recovered      *bool
}

func (w *wanderer) read(p *peer) (m typedMessage) {
	f, err := p.next()
	if err != nil {
		w.t.Errorf("reading: %v", err)
		return m
	}
	if err := json.Unmarshal([]byte(f.payload), &m); err != nil {
		w.t.Errorf("reading %s: %v", f.payload, err)
	}
	if m.Position != "" {
		w.position = m.Position
	}
	return m
}

// begin joins for the first time, before anything is published.
func (w *wanderer) begin(node int) {
	p := connect(w.t, w.nodes[node], "/ws", "Sec-WebSocket-Protocol: wsify.v1")
	p.send(`{"command":"join","args":{"channel":"h"},"id":1}`)
	if m := w.read(p); !m.OK || m.Position == "" {
		w.t.Fatalf("the first join is answered by %+v", m)
	}
	w.next = 1
	p.reset()
}

// wander reads until the number last, on many connections.
func (w *wanderer) wander(last int) {
	for w.next <= last && !w.t.Failed() {
		p := connect(w.t, w.nodes[w.random.IntN(len(w.nodes))], "/ws", "Sec-WebSocket-Protocol: wsify.v1")
		p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h","since":%q},"id":1}`, w.position))
		w.visit(p, 1+w.random.IntN(60), last)
		p.reset()
	}
}

// visit reads some messages of one connection.
func (w *wanderer) visit(p *peer, messages, last int) {
	for joined := false; messages > 0 && (w.next <= last || !joined); messages-- {
		before := w.position
		switch m := w.read(p); {
		case m.Type == "message" && m.Content == w.next:
			w.next++
		case m.Type == "reply" && !m.OK: // the engine is unreachable: from the same position again
			w.position = before
			time.Sleep(time.Millisecond)
			return
		case m.Type == "reply" && *m.Recovered:
			joined = true
		default:
			w.t.Errorf("got %+v, want the number %s", m, strconv.Itoa(w.next))
			return
		}
	}
}
