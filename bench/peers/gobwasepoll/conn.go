package main

import (
	"bufio"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"wsify/bench/peers/internal/pubsub"
)

// writeWait is how long a client that takes nothing may delay the others.
const writeWait = time.Second

// conn is one connection. It is read, and closed, by the loop alone.
type conn struct {
	net     *net.TCPConn
	fd      int // in the table and the epoll; net owns it
	session *pubsub.Session[*conn]
}

// adopt gives an upgraded connection to the loop, after the messages which came
// behind the head and which the HTTP server has read already.
func adopt(server *pubsub.Server[*conn], poller *epoll, nc *net.TCPConn, behind *bufio.Reader) error {
	fd, err := descriptor(nc)
	if err != nil {
		return err
	}
	c := &conn{net: nc, fd: fd}
	c.session = server.Open(c)
	for behind.Buffered() > 0 {
		if err := c.readFrom(behind); err != nil {
			c.session.Close()
			return err
		}
	}
	if err := poller.add(c); err != nil {
		c.session.Close()
		return err
	}
	return nil
}

func descriptor(nc *net.TCPConn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// read takes one message, or one control frame, and carries it out.
func (c *conn) read() error { return c.readFrom(c.net) }

func (c *conn) readFrom(source io.Reader) error {
	control := wsutil.ControlFrameHandler(c.net, ws.StateServerSide)
	r := wsutil.Reader{
		Source: source, State: ws.StateServerSide, CheckUTF8: true,
		MaxFrameSize: pubsub.MaxMessageSize, MaxMessageSize: pubsub.MaxMessageSize,
		OnIntermediate: control,
	}
	head, err := r.NextFrame()
	if err != nil {
		return err
	}
	if head.OpCode.IsControl() {
		return control(head, &r)
	}
	message, err := readMessage(&r, head)
	if err != nil {
		return err
	}
	if answer := c.session.Handle(message); answer != nil {
		c.write(ws.MustCompileFrame(ws.NewTextFrame(answer)))
	}
	return nil
}

func readMessage(r *wsutil.Reader, head ws.Header) ([]byte, error) {
	if !head.Fin {
		return io.ReadAll(r)
	}
	message := make([]byte, head.Length)
	_, err := io.ReadFull(r, message)
	return message, err
}

// write sends a whole frame. A client that does not take it is cut off: the loop
// then reads its end and cleans up.
func (c *conn) write(frame []byte) {
	c.net.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := c.net.Write(frame); err != nil {
		c.net.CloseRead()
		c.net.CloseWrite()
	}
}

// close ends the connection, once it is out of the table.
func (c *conn) close() {
	c.session.Close()
	c.net.Close()
}
