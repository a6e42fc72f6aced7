package session

import (
	"testing"
	"time"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// A session that waits has a deadline, whatever it waits for. An open one has its next
// ping (I10).
func TestNoSessionWaitsWithoutADeadline(t *testing.T) {
	long(t)
	hangs := speaking("")(t)
	for where, come := range map[state]func(srv *Server){
		handshaking: func(srv *Server) { dial(t, srv).write("GET /ws") },
		connecting:  func(srv *Server) { dial(t, srv).write(upgradeHead("/ws")) },
		open:        func(srv *Server) { connect(t, srv, "/ws") },
		pinged: func(srv *Server) {
			connect(t, srv, "/ws")
			silence(t, srv, time.Hour)
		},
		parked: func(srv *Server) { parkMany(t, srv, 1) },
		receiving: func(srv *Server) {
			dial(t, srv).write("POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
		},
		publishing: func(srv *Server) { dial(t, srv).write(postRequest("/broadcast", `{"channel":"c"}`)) },
		kept:       func(srv *Server) { dial(t, srv).write("OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n") },
		ending:     func(srv *Server) { connect(t, srv, "/ws").write(closing(1000, "")) },
	} {
		cfg := Config{Loops: 1, PingInterval: time.Hour}
		if where == connecting {
			cfg.AuthorizerURL = hangs
		}
		srv := startWith(t, cfg, &testBroker{asynchronous: true})
		come(srv)
		l := srv.loops[0]
		testtool.Until(t, "the session is where it waits", func() (there bool) {
			onLoop(t, l, func() {
				l.net.Each(func(c *netpoll.Conn) {
					if there = l.session(c).state == where; there && !c.HasDeadline() {
						t.Errorf("a session in state %d has no deadline", where)
					}
				})
			})
			return there
		})
	}
}
