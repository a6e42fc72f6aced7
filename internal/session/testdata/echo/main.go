// Command echo is a WebSocket echo server on wsify's netpoll and internal/wire.
// It returns text and binary messages unchanged, on any path. The conformance tests
// run against it.
package main

import (
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"wsify/internal/slab"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// session is the state of a connection.
type session struct {
	reader wire.Reader
	head   []byte // incomplete head of the request
	open   bool   // the upgrade is done
	narrow bool   // the client's window is small
}

// echo handles one event loop.
type echo struct {
	max      int
	out      []byte
	deflater *wire.Deflater
	sessions slab.Slab[session]
}

const (
	linger  = 5 * time.Second
	maxHead = 8 << 10
)

// Opened implements netpoll.Handler.
func (e *echo) Opened(c *netpoll.Conn) {
	e.sessions.Grow(c.Slot())
	*e.sessions.At(c.Slot()) = session{}
	c.SetDeadline(10 * time.Second)
}

// Data implements netpoll.Handler.
func (e *echo) Data(c *netpoll.Conn, p []byte) {
	s := e.sessions.At(c.Slot())
	if !s.open {
		s.head = append(s.head, p...)
		end := wire.HeadEnd(s.head, len(s.head)-len(p))
		if end == 0 && len(s.head) <= maxHead {
			return
		}
		if end == 0 || end > maxHead {
			e.refuse(c, 431, "", "request head over 8 KiB")
			return
		}
		if p = e.upgrade(c, s, end); p == nil {
			return
		}
	}
	e.out = e.out[:0]
	for c.Open() {
		ev, n, ok, err := s.reader.Next(p, e.max)
		p = p[n:]
		switch {
		case err != nil:
			e.end(c, err.(*wire.ProtocolError).Code)
		case !ok:
			e.send(c)
			return
		case ev.Op == ws.OpPing:
			e.out = wire.AppendFrame(e.out, ws.OpPong, ev.Payload)
		case ev.Op == ws.OpClose:
			e.closeFrame(c, ev.Payload)
		case ev.Op != ws.OpPong:
			e.echo(s, wire.AppendFrame(nil, ev.Op, ev.Payload))
		}
	}
}

// echo adds a message to the echoes, compressed if the client has agreed on that.
func (e *echo) echo(s *session, frame []byte) {
	size := len(e.out)
	if s.reader.Deflate {
		e.deflater.Deflate(frame, s.narrow, func(deflated []byte) { e.out = append(e.out, deflated...) })
	}
	if len(e.out) == size {
		e.out = append(e.out, frame...)
	}
}

func (e *echo) refuse(c *netpoll.Conn, status int, headers, detail string) {
	c.Send(wire.AppendResponse(nil, status, headers, detail+"\n"))
	c.Linger(netpoll.ReasonUser, linger)
}

// upgrade answers the head that ends at end. It returns the bytes after it, or nil
// after a refusal.
func (e *echo) upgrade(c *netpoll.Conn, s *session, end int) []byte {
	head, rest := s.head[:end], s.head[end:]
	r, err := wire.ParseRequest(head)
	if err == nil {
		e.out, err = wire.AppendUpgrade(e.out[:0], &r, head)
	}
	if err != nil {
		refusal := err.(*wire.HandshakeError)
		e.refuse(c, refusal.Status, refusal.ExtraHeaders(), refusal.Detail)
		return nil
	}
	if d, ok := r.Deflate(); ok {
		s.reader.Deflate, s.narrow = true, d.Narrow()
		e.out = d.AppendTo(e.out)
	}
	s.head, s.open = nil, true
	c.ClearDeadline()
	c.Send(e.out)
	return rest
}

// closeFrame echoes the peer's close code; RFC 6455, section 5.5.1.
func (e *echo) closeFrame(c *netpoll.Conn, payload []byte) {
	code, _, err := wire.ParseClose(payload)
	switch {
	case err != nil:
		code = err.(*wire.ProtocolError).Code
	case code == wire.NoStatus:
		code = 0
	}
	e.end(c, code)
}

// end sends the echoes so far and a Close frame, and ends the connection.
func (e *echo) end(c *netpoll.Conn, code wire.CloseCode) {
	e.out = wire.AppendClose(e.out, code, "")
	e.send(c)
	c.Linger(netpoll.ReasonUser, linger)
}

// send writes the echoes. It closes the connection if its queue is full, because the
// peer does not read.
func (e *echo) send(c *netpoll.Conn) {
	if !c.Send(e.out) {
		c.Close(netpoll.ReasonUser)
	}
}

// Expired implements netpoll.Handler: the handshake took too long.
func (e *echo) Expired(c *netpoll.Conn) { c.Close(netpoll.ReasonUser) }

// Turn implements netpoll.Handler.
func (e *echo) Turn() bool { return false }

// Closed implements netpoll.Handler.
func (e *echo) Closed(c *netpoll.Conn, _ netpoll.Reason) {
	s := e.sessions.At(c.Slot())
	s.reader.Release()
	s.head = nil
}

func main() {
	addr := flag.String("listen-addr", ":9001", "address to listen on")
	size := flag.Int("max-message-size", 32<<20, "most bytes of a message")
	loops := flag.Int("loops", 0, "event loops; 0 is one per core")
	poller := flag.String("poller", "native", "what the loops wait with: native or easygo")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	_, _, _ = netpoll.RaiseFileLimit()
	group, err := netpoll.Open(netpoll.Config{Loops: *loops, Poller: netpoll.Poller(*poller), MaxQueuedBytes: 2 * *size, Logger: log},
		func(*netpoll.Loop) netpoll.Handler { return &echo{max: *size, deflater: wire.NewDeflater(1, 0)} })
	if err == nil {
		bound, listenErr := group.Listen(*addr)
		if err = listenErr; err == nil {
			log.Info("echo is listening", "addr", bound.String())
			<-stop
			err = group.Stop()
		}
	}
	if err != nil {
		log.Error("echo ended", "err", err)
		os.Exit(1)
	}
}
