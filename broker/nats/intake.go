package nats

import (
	"net"
	"sync"
	"sync/atomic"

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
	queue   chan *nats.Msg
	waiting atomic.Bool   // a read waits for the queue to be empty
	emptied chan struct{} // holds one
	done    chan struct{} // closed when nothing more comes
	read    int           // bytes read since the queue was empty; for the reading goroutine
}

func newIntake() *intake {
	return &intake{queue: make(chan *nats.Msg, queueSize), emptied: make(chan struct{}, 1), done: make(chan struct{})}
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
	to.Received(channelOf(m.Subject), m.Data)
	if len(q.queue) == 0 && q.waiting.Load() {
		select {
		case q.emptied <- struct{}{}:
		default:
		}
	}
}

// wait returns when there is room for what one more read brings, or the connection
// is closed.
func (q *intake) wait(closed <-chan struct{}) {
	switch waiting := len(q.queue); {
	case waiting == 0:
		q.read = 0
		return
	case waiting < queueGate && q.read < queueBytes:
		return
	}
	q.waiting.Store(true)
	defer q.waiting.Store(false)
	for len(q.queue) > 0 {
		select {
		case <-q.emptied:
		case <-closed:
			return
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
	in     *intake
	once   sync.Once
	closed chan struct{}
}

func (c *gatedConn) Read(b []byte) (int, error) {
	c.in.wait(c.closed)
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

// Close may be called from any goroutine and more than once.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
