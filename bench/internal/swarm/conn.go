package swarm

import (
	"bytes"
	"fmt"
	"io"
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
	tries   int     // that failed since it was cut off
	at      []byte  // its position in the channel
	gap     bool    // it was told that it has missed something
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
	offer := ""
	if p.Recover {
		offer = "Sec-WebSocket-Protocol: wsify.v1\r\n"
	}
	request := "GET " + p.Target.Path + " HTTP/1.1\r\nHost: " + p.Target.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + offer + "\r\n"
	if p.Hold == HoldHead {
		s.write(c, []byte(request[:len(request)/2]))
		c.state = held
		s.ready(c)
		return
	}
	c.state = upgrading
	s.write(c, []byte(request))
}

// answer reads the answer at the beginning of p, and returns its size in bytes; 0 when it is incomplete.
func (s *Swarm) answer(p []byte) (a *http.Response, size int) {
	in := bytes.NewReader(p)
	s.reader.Reset(in)
	a, err := http.ReadResponse(s.reader, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, a.Body)
	}
	if err != nil {
		return nil, 0
	}
	return a, len(p) - in.Len() - s.reader.Buffered()
}

// head handles the answer to the upgrade and returns what came behind it.
func (s *Swarm) head(c *conn, p []byte) []byte {
	a, size := s.answer(p)
	switch {
	case size == 0:
		return p
	case a.StatusCode == http.StatusSwitchingProtocols:
		s.upgraded(c)
		return p[size:]
	case a.StatusCode == http.StatusServiceUnavailable && c.group.plan.Retry:
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			seconds = 1
		}
		s.retry(c, time.Duration(seconds)*time.Second)
	default:
		s.fail(c, fmt.Sprintf("upgrade: status %d", a.StatusCode))
	}
	return nil
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
	join := fmt.Sprintf(c.group.dialect.join, c.channel(c.joins))
	if c.at != nil {
		c.begun = s.now
		join = fmt.Sprintf(c.group.dialect.since, c.channel(c.joins), c.at)
	}
	s.send(c, join)
}

func (s *Swarm) opened(c *conn) {
	c.state = open
	s.ready(c)
	if c.group.plan.Mute {
		c.mute = true
		s.interest(c)
	}
}

// position notes where a connection is in its channel, and whether it has missed something there.
func (c *conn) position(p []byte) {
	if _, at, ok := bytes.Cut(p, []byte(`"position":"`)); ok {
		at, _, _ = bytes.Cut(at, []byte(`"`))
		c.at = append(c.at[:0], at...)
	}
	c.gap = c.gap || bytes.Contains(p, []byte(`"recovered":false`)) || bytes.Contains(p, []byte(`"type":"gap"`))
}

func (s *Swarm) message(c *conn, p []byte) {
	if c.group.plan.Recover {
		c.position(p)
	}
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
