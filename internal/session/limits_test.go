package session

import (
	"fmt"
	"strings"
	"testing"
)

// padded returns text, padded with white space to size bytes.
func padded(text string, size int) string { return text + strings.Repeat(" ", size-len(text)) }

// TestMaxMessageSize: a message of exactly the limit is accepted, one byte more is
// 1009, in one frame or in fragments. For a body it is 413.
func TestMaxMessageSize(t *testing.T) {
	for _, limit := range []int{0, 100, 125, 126, 65535, 65536, 1 << 20} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			srv := start(t, Config{MaxMessageSize: limit})
			if limit == 0 {
				limit = 64 << 10 // the default
			}
			join := func(id, size int) string {
				return padded(fmt.Sprintf(`{"command":"join","args":{"channel":"c"},"id":%d}`, id), size)
			}
			p := connect(t, srv, "/ws")
			p.send(join(1, limit))
			p.expectText(`{"id":1,"ok":true}`)
			whole := join(2, limit)
			p.write(masked(opText, whole[:9]) + masked(0x80|opPing, "between") + masked(opContinuation, whole[9:50]) + masked(0x80|opContinuation, whole[50:]))
			p.expect(opPong, "between")
			p.expectText(`{"id":2,"ok":true}`)
			p.send(join(3, limit+1))
			p.expectClose(1009)
			p = connect(t, srv, "/ws")
			p.write(masked(opText, join(4, limit)) + masked(0x80|opContinuation, " "))
			p.expectClose(1009)
			p = connect(t, srv, "/ws")
			p.write(masked(0x80|opBinary, join(4, limit+1)))
			p.expectClose(1009)

			body := `{"channel":"c","content":1}`
			if res := post(t, srv, "/broadcast", padded(body, limit)); res.status != 201 {
				t.Errorf("a body of %d bytes: %d %q, want 201", limit, res.status, res.body)
			}
			if res := post(t, srv, "/broadcast", padded(body, limit+1)); res.status != 413 {
				t.Errorf("a body of %d bytes: %d %q, want 413", limit+1, res.status, res.body)
			}
		})
	}
}

// TestMaxChannelsPerConnection: a further join is refused, a leave makes room, and
// the limit is per connection.
func TestMaxChannelsPerConnection(t *testing.T) {
	srv := start(t, Config{MaxChannelsPerConnection: 3})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("a", "b", "c")
	q.join("a", "b", "c")
	refused := func() {
		t.Helper()
		p.send(`{"command":"join","args":{"channel":"d"},"id":1}`)
		p.expectText(`{"id":1,"ok":false,"error":{"code":"limit","message":"this connection is a member of too many channels"}}`)
	}
	refused()
	p.join("b") // already a member
	refused()
	p.leave("b")
	p.join("d")
	post201(t, srv, "d", "1")
	p.expectText("1")
	if got := srv.Stats().NotDone["limit"]; got != 2 {
		t.Errorf("Stats().NotDone[limit] = %d, want 2", got)
	}
}

// TestMaxChannelLength counts the bytes of the trimmed, decoded name.
func TestMaxChannelLength(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{strings.Repeat("x", 255), true},
		{strings.Repeat("x", 256), false},
		{"  " + strings.Repeat("x", 255) + "\\n\\t", true},
		{strings.Repeat("ü", 127), true},
		{strings.Repeat("ü", 128), false},
		{strings.Repeat("\\u0061", 255), true},
		{strings.Repeat("\\u0061", 256), false},
	} {
		p.send(`{"command":"join","args":{"channel":"` + c.name + `"},"id":1}`)
		f, err := p.next()
		if ok := err == nil && f.payload == `{"id":1,"ok":true}`; ok != c.ok || !ok && !strings.Contains(f.payload, `"limit"`) {
			t.Errorf("a name of %d bytes %.20q…: %v, error %v", len(c.name), c.name, f, err)
		}
		want := 201
		if !c.ok {
			want = 400
		}
		if res := post(t, srv, "/broadcast", `{"channel":"`+c.name+`"}`); res.status != want {
			t.Errorf("POST with a name of %d bytes %.20q…: %d %q, want %d", len(c.name), c.name, res.status, res.body, want)
		}
		if c.ok {
			p.expectText("null")
			p.send(`{"command":"leave","args":{"channel":"` + c.name + `"}}`)
		}
	}
}
