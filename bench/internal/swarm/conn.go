package swarm

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"wsify/bench/internal/ledger"
)

// state is where a connection stands.
type state uint8

const (
	connecting state = iota
	upgrading        // the request is sent
	greeting         // the dialect's hello is sent
	joining          // and so is a join
	open
	held // half a request or frame was sent, and that is all
	closed
)

// conn is one client connection. It belongs to the swarm's goroutine.
type conn struct {
	fd      int
	group   *group
	index   int // in the whole run, which names its own channel
	state   state
	mute    bool
	writing bool   // write interest is on
	joins   int    // still to send
	in      []byte // an incomplete head or frame
	out     []byte // what the kernel has not taken
	account ledger.Account
	begun   int64 // ns: when it was to connect
	sent    uint32
	lost    int64   // ns: when the server ended it; 0 once it is back
	dues    []int64 // of requests that are not answered
}

// channel is the name of the channel number k of the connection.
func (c *conn) channel(k int) string {
	p := &c.group.plan
	switch {
	case p.Spread > 0:
		return p.Channel + strconv.Itoa((c.index+k)%p.Spread)
	case p.Own:
		return p.Channel + strconv.Itoa(c.index) + "." + strconv.Itoa(k)
	}
	return p.Channel
}

// connected sends what comes first.
func (s *Swarm) connected(c *conn) {
	if v, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || v != 0 {
		s.fail(c, "connect: "+unix.Errno(v).Error())
		return
	}
	p := &c.group.plan
	if p.HTTP {
		s.opened(c)
		return
	}
	request := "GET " + p.Target.Path + " HTTP/1.1\r\nHost: " + p.Target.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	if p.Hold == HoldHead {
		s.write(c, []byte(request[:len(request)/2]))
		c.state = held
		s.ready(c)
		return
	}
	c.state = upgrading
	s.write(c, []byte(request))
}

// head handles the answer to the upgrade and returns what came behind it.
func (s *Swarm) head(c *conn, p []byte) []byte {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return p
	}
	status := statusOf(p[:end])
	if status == http.StatusSwitchingProtocols {
		s.upgraded(c)
		return p[end+4:]
	}
	if status == http.StatusServiceUnavailable && c.group.plan.Retry {
		seconds, ok := number(p[:end], "retry-after:")
		if !ok {
			seconds = 1
		}
		s.retry(c, time.Duration(seconds)*time.Second)
		return nil
	}
	s.fail(c, fmt.Sprintf("upgrade: status %d", status))
	return nil
}

// statusOf is that of an answer of HTTP.
func statusOf(head []byte) (status int) {
	if fields := bytes.Fields(head); len(fields) > 1 {
		status, _ = strconv.Atoi(string(fields[1]))
	}
	return status
}

// number returns a header that is a whole number.
func number(head []byte, name string) (n int, ok bool) {
	_, value, _ := bytes.Cut(bytes.ToLower(head), []byte(name))
	line, _, _ := bytes.Cut(value, []byte("\r\n"))
	n, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	return n, err == nil && n >= 0
}

func (s *Swarm) upgraded(c *conn) {
	p := &c.group.plan
	c.joins = p.Joins
	switch {
	case p.Hold == HoldFrame:
		frame := AppendFrame(nil, opText, make([]byte, 1000))
		s.write(c, frame[:len(frame)/2])
		c.state = held
		s.ready(c)
	case c.group.dialect.hello != "":
		c.state = greeting
		s.send(c, c.group.dialect.hello)
	default:
		s.nextJoin(c)
	}
}

// nextJoin joins the next channel, or is done with that.
func (s *Swarm) nextJoin(c *conn) {
	if c.joins == 0 {
		s.opened(c)
		return
	}
	c.joins--
	c.state = joining
	s.send(c, fmt.Sprintf(c.group.dialect.join, c.channel(c.joins)))
}

func (s *Swarm) opened(c *conn) {
	c.state = open
	s.ready(c)
	if c.group.plan.Mute {
		c.mute = true
		s.interest(c)
	}
}

// message handles a text message.
func (s *Swarm) message(c *conn, p []byte) {
	if n, due, ok := ledger.Find(p); ok {
		s.heard(c, n, due)
		return
	}
	switch {
	case c.group.dialect.beat != "" && string(bytes.TrimSpace(p)) == c.group.dialect.beat:
		s.send(c, c.group.dialect.beat)
	case c.state == greeting:
		s.nextJoin(c)
	case c.state == joining && bytes.Contains(p, c.group.dialect.joined):
		s.nextJoin(c)
	case c.state == joining:
		s.fail(c, fmt.Sprintf("join: %.100s", p))
	}
}

// frames handles all complete frames of p and returns the rest.
func (s *Swarm) frames(c *conn, p []byte) []byte {
	for c.state != closed {
		opcode, payload, size := nextFrame(p)
		if size == 0 {
			break
		}
		p = p[size:]
		switch opcode {
		case opText:
			for line := range bytes.SplitSeq(payload, []byte("\n")) { // some put several messages into one
				s.message(c, line)
			}
		case opPing:
			s.pings++
			s.write(c, AppendFrame(nil, opPong, payload))
		case opClose:
			code := 1005
			if len(payload) >= 2 {
				code = int(payload[0])<<8 | int(payload[1])
			}
			s.write(c, AppendFrame(nil, opClose, payload[:min(2, len(payload))]))
			s.ended(c, code)
		}
	}
	return p
}
