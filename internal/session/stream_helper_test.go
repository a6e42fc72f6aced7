package session

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wsify/netpoll"
)

// stream is the client's end of a stream of server-sent events.
type stream struct {
	*peer
	srv    *Server
	header http.Header
	retry  string // in milliseconds, as told at the start
}

// sent is a block of a stream: an event, or a comment.
type sent struct{ id, event, data, retry, comment string }

// streamHead returns the head of a request for a stream.
func streamHead(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: example.com\r\n" + lines(headers) + "\r\n"
}

// openStream asks for a stream, and returns when the server has begun it.
func openStream(t testing.TB, srv *Server, target string, headers ...string) *stream {
	t.Helper()
	p := dial(t, srv)
	p.write(streamHead(target, headers...))
	return p.followed(srv)
}

// stream follows a stream in a script. The stage keeps it if it begins.
func (s *stage) stream(name, arg string) []string {
	s.t.Helper()
	target, headers := splitHeaders(arg)
	p := dial(s.t, s.srv)
	p.write(streamHead(target, headers...))
	_ = p.SetReadDeadline(time.Now().Add(patience))
	if begin, err := p.r.Peek(len("HTTP/1.1 200")); err != nil || string(begin) != "HTTP/1.1 200" {
		return []string{turnedDown(name, p, p.response())}
	}
	s.streams[name] = p.followed(s.srv)
	for _, channel := range query(target)["channel"] {
		s.members[channel] += 0
	}
	return []string{name + ": 200"}
}

func query(target string) url.Values {
	u, _ := url.Parse(target)
	return u.Query()
}

// streamed lists what a stream has got.
func (s *stage) streamed(name string) (out []string) {
	s.t.Helper()
	for _, b := range s.streams[name].received() {
		line := name + " <- event"
		if b.event != "" {
			line += " " + b.event
		}
		if b.id != "" {
			line += " id " + b.id
		}
		out = append(out, line+" "+b.data)
	}
	return out
}

// followed reads the head of a stream and its first block.
func (p *peer) followed(srv *Server) *stream {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.ContentLength != -1 || !res.Close {
		p.t.Fatalf("got %+v, want a stream that goes on to the end of the connection", res)
	}
	s := &stream{peer: p, srv: srv, header: res.Header}
	first := s.next()
	if s.retry = first.retry; s.retry == "" || first != (sent{retry: s.retry}) {
		p.t.Fatalf("the stream begins with %+v, want retry alone", first)
	}
	return s
}

// next reads a block.
func (s *stream) next() sent {
	s.t.Helper()
	b, err := s.tryNext()
	if err != nil {
		s.t.Fatalf("no event: %v", err)
	}
	return b
}

// tryNext is next for other goroutines.
func (s *stream) tryNext() (b sent, err error) {
	_ = s.SetReadDeadline(time.Now().Add(patience))
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return b, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return b, nil
		case name == "":
			b.comment = "comment" + value
		case name == "id":
			b.id = value
		case name == "event":
			b.event = value
		case name == "data":
			b.data = value
		case name == "retry":
			b.retry = value
		default:
			return b, fmt.Errorf("a line of no field: %q", line)
		}
	}
}

// expectEvents reads events, each with a publication, and checks their data.
func (s *stream) expectEvents(want ...string) {
	s.t.Helper()
	for _, data := range want {
		if got := s.next(); got != (sent{data: data}) {
			s.t.Fatalf("got %.200v, want an event with %.200s", got, data)
		}
	}
}

// expectClose reads the last event and the end of the stream, and returns when the client
// shall reconnect.
func (s *stream) expectClose(data string) (retry string) {
	s.t.Helper()
	got := s.next()
	if retry, got.retry = got.retry, ""; got != (sent{event: "close", data: data}) {
		s.t.Fatalf("got %+v, want close with %s", got, data)
	}
	s.expectEnd()
	return retry
}

// expectNothing expects that nothing was sent to the stream. All publications are in the
// kernel; see settle.
func (s *stream) expectNothing() {
	s.t.Helper()
	if got := s.received(); len(got) > 0 {
		s.t.Fatalf("got %+v, want nothing", got)
	}
}

// received returns what comes before a comment that is sent now.
func (s *stream) received() (got []sent) {
	s.t.Helper()
	s.pings++
	token := fmt.Sprintf("sync %d", s.pings)
	s.srv.comment(s.t, s.LocalAddr().String(), token)
	for {
		b := s.next()
		if b == (sent{comment: "comment" + token}) {
			return got
		}
		got = append(got, b)
	}
}

// comment sends a comment to the client with this address.
func (srv *Server) comment(t testing.TB, client, text string) {
	t.Helper()
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if c.RemoteAddr().String() == client {
					c.SendUrgent([]byte(":" + text + "\n\n"))
				}
			})
		})
	}
}
