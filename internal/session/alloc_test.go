package session

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"wsify/internal/invariants"
)

// An exchange writes a request and reads size bytes of answers, without allocating.
type exchange struct {
	p    *peer
	what []byte
	buf  []byte
}

func newExchange(p *peer, what string, size int) *exchange {
	return &exchange{p, []byte(what), make([]byte, size)}
}

func (x *exchange) do() error {
	if _, err := x.p.Conn.Write(x.what); err != nil {
		return err
	}
	return x.read()
}

func (x *exchange) read() error {
	_, err := io.ReadFull(x.p.Conn, x.buf)
	return err
}

// frameSize is the size of a server's frame.
func frameSize(payload string) int {
	switch n := len(payload); {
	case n < 126:
		return n + 2
	case n < 1<<16:
		return n + 4
	default:
		return n + 10
	}
}

// TestNoAllocations: in the steady state neither a command nor a delivery allocates.
// Each case does many of them in one run over a real connection, and the whole process
// is measured. So the test detects even one allocation in some dozens.
func TestNoAllocations(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		t.Skip("the race detector and the assertions allocate on their own account")
	}
	const many = 100
	const ack = `{"id":"x","ok":true}`
	pong := masked(0x80|opPing, "end")
	one := func(command, channel, rest string) string {
		return message(fmt.Sprintf(`{"command":%q,"args":{"channel":%q}%s}`, command, channel, rest))
	}
	say := message(`{"command":"broadcast","args":{"channel":"own","content":{"text":"hello"}}}`)
	for _, c := range []struct {
		name   string
		what   string
		answer int
	}{
		{"join and leave", strings.Repeat(one("join", "shared", "")+one("leave", "shared", ""), many) + pong, frameSize("end")},
		{"join and leave, acked", strings.Repeat(one("join", "shared", `,"id":"x"`)+one("leave", "shared", `,"id":"x"`), many), 2 * many * frameSize(ack)},
		{"join of a member", strings.Repeat(one("join", "own", ""), many) + pong, frameSize("end")},
		{"broadcast to an own channel", strings.Repeat(say, many), many * frameSize(`{"text":"hello"}`)},
		{"broadcast to nobody", strings.Repeat(one("broadcast", "empty", ""), many) + pong, frameSize("end")},
		{"an error", strings.Repeat(one("fly", "own", `,"id":"x"`), many) + pong, many*frameSize(`{"id":"x","ok":false,"error":{"code":"unknown_command","message":"the commands are join, leave and broadcast"}}`) + frameSize("end")},
		{"ping", strings.Repeat(masked(0x80|opPing, "ping"), many), many * frameSize("ping")},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := start(t, Config{Loops: 1})
			keeper := connect(t, srv, "/ws")
			keeper.join("shared")
			p := connect(t, srv, "/ws")
			p.join("own")
			x := newExchange(p, c.what, c.answer)
			noAllocations(t, p, x.do)
		})
	}
	t.Run("delivery to two classes", func(t *testing.T) {
		srv := start(t, Config{Loops: 1})
		members := make([]*exchange, many)
		publisher := connect(t, srv, "/ws")
		members[0] = newExchange(publisher, say, frameSize(`{"text":"hello"}`))
		for i := range members {
			if i > 0 {
				members[i] = newExchange(connect(t, srv, "/ws"), "", frameSize(`{"text":"hello"}`))
			}
			members[i].p.join("own")
			_ = members[i].p.SetDeadline(time.Now().Add(patience))
		}
		const typed = `{"type":"message","channel":"own","content":{"text":"hello"}}`
		for range many / 10 {
			p := connectTyped(t, srv, "/ws", "own")
			members = append(members, newExchange(p, "", frameSize(typed)))
			_ = p.SetDeadline(time.Now().Add(patience))
		}
		noAllocations(t, publisher, func() error {
			if err := members[0].do(); err != nil {
				return err
			}
			for _, m := range members[1:] {
				if err := m.read(); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// noAllocations runs fn repeatedly. AllocsPerRun rounds down, so less than one
// allocation in a run of some hundred commands or deliveries counts as none. Allocations
// after a garbage collection, which empties the pools, are not part of the steady state.
func noAllocations(t *testing.T, p *peer, fn func() error) {
	t.Helper()
	_ = p.SetDeadline(time.Now().Add(patience))
	var err error
	run := func() {
		if err == nil {
			err = fn()
		}
	}
	for range 20 { // buffers grow, pools fill
		run()
	}
	allocs := testing.AllocsPerRun(200, run)
	if err != nil {
		t.Fatal(err)
	}
	if allocs != 0 {
		t.Errorf("%v allocations in a run, want 0", allocs)
	}
}
