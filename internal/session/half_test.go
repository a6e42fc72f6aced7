package session

import (
	"testing"
	"time"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// older makes an incomplete message older by d, and lets the session's deadline pass.
// It reports whether it found one.
func older(t *testing.T, srv *Server, d time.Duration) (found bool) {
	t.Helper()
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if _, half := l.messageLeft(l.session(c)); half {
					l.more(l.session(c)).begun -= uint32(d / srv.tick)
					l.Expired(c)
					found = true
				}
			})
		})
	}
	return found
}

// TestHalfAMessageIsEnded: an incomplete message ends its connection, with pings and without.
func TestHalfAMessageIsEnded(t *testing.T) {
	whole := masked(0x80|opText, `{"command":"leave","args":{"channel":"c"}}`)
	fragment := masked(opText, "{")
	for name, input := range map[string]string{
		"half a header":                   whole[:1],
		"half a payload":                  whole[:20],
		"a fragment":                      fragment,
		"a fragment and a ping":           fragment + masked(0x80|opPing, ""),
		"half a message after whole ones": whole + whole + whole[:20],
	} {
		for _, interval := range []time.Duration{time.Hour, -1} {
			srv := start(t, Config{PingInterval: interval, PongTimeout: time.Hour})
			p := connect(t, srv, "/ws")
			p.write(input)
			testtool.Until(t, name+" to arrive", func() bool { return older(t, srv, 0) })
			older(t, srv, messageTimeout/2)
			if st := srv.Stats(); st.Closed["message_timeout"] != 0 {
				t.Errorf("%s: ended too early", name)
			}
			older(t, srv, messageTimeout)
			if name == "a fragment and a ping" {
				p.expect(opPong, "")
			}
			p.expectClose(1008)
			testtool.Until(t, "counted", func() bool { return srv.Stats().Closed["message_timeout"] == 1 })
		}
	}
}

// A new message has a new deadline. More bytes of the same message do not extend the
// deadline.
func TestEachMessageHasItsOwnTime(t *testing.T) {
	whole := masked(0x80|opText, `{"command":"leave","args":{"channel":"c"},"id":1}`)
	srv := start(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour})
	p := connect(t, srv, "/ws")
	p.write(whole[:20])
	for range 5 {
		testtool.Until(t, "half a message", func() bool { return older(t, srv, 0) })
		older(t, srv, messageTimeout/2)
		p.write(whole[20:] + whole[:20])
		p.expectText(`{"id":1,"ok":true}`)
	}
	p.write(whole[20:])
	p.expectText(`{"id":1,"ok":true}`)
	if older(t, srv, messageTimeout) {
		t.Error("a message is unfinished")
	}
	p.usable()
}
