package nats

import (
	"net"

	"github.com/nats-io/nats.go"

	"wsify/broker"
)

// Bounds on what was read from a NATS server and waits to be handed to the sink.
//
// nats.go drops what finds the queue full. So that this cannot be, nothing is read
// from the connection while more than queueGate publications wait, or more than
// queueBytes were read since none did; what one more read brings has room above
// the gate: it takes 32 KiB from the kernel, or 64 KiB with what TLS holds back, and a
// publication has 12 bytes at least. What is not read waits in the kernel and in the
// server, which ends the connection of a client that is too slow (max_pending).
const (
	queueSize  = 8192 // 64 KiB of pointers
	queueGate  = 1024
	queueBytes = 1 << 20
)

// intake is the way of publications from a NATS connection to the sink.
type intake struct {
	queue  chan *nats.Msg // nil marks where a read waits
	passed chan struct{}  // holds one: the mark has been reached
	done   chan struct{}  // closed when nothing more comes
	read   int            // bytes read since the queue was empty; for the reading goroutine
}

func newIntake() *intake {
	return &intake{queue: make(chan *nats.Msg, queueSize), passed: make(chan struct{}, 1), done: make(chan struct{})}
}

// run hands over what comes, in its order, until done is closed and nothing waits.
func (q *intake) run(to broker.Sink) {
	for {
		select {
		case m := <-q.queue:
			q.hand(m, to)
		case <-q.done:
			for len(q.queue) > 0 {
				q.hand(<-q.queue, to)
			}
			return
		}
	}
}

func (q *intake) hand(m *nats.Msg, to broker.Sink) {
	if m == nil {
		q.passed <- struct{}{}
		return
	}
	to.Received(channelOf(m.Subject), m.Data)
}

// wait returns when there is room for what one more read brings, or nothing more comes.
func (q *intake) wait() {
	switch waiting := len(q.queue); {
	case waiting == 0:
	case waiting < queueGate && q.read < queueBytes:
		return
	default:
		q.queue <- nil // has room
		select {
		case <-q.passed:
		case <-q.done:
		}
	}
	q.read = 0
}

// gatedConn is a connection to a server as nats.go has it, below TLS. It reads when
// there is room for it.
//
// After a write that failed it is closed: nats.go forgets what it wanted to write and
// goes on, and an answer to what came later would be taken for one to what was
// never sent.
type gatedConn struct {
	net.Conn
	in *intake
}

func (c *gatedConn) Read(b []byte) (int, error) {
	c.in.wait()
	n, err := c.Conn.Read(b)
	c.in.read += n
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}
