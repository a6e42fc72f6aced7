package nats

import (
	"context"
	"net"

	"github.com/nats-io/nats.go"

	"wsify/broker"
)

// Bounds on publications that were read from a NATS server and wait for the sink.
//
// nats.go drops publications when the queue is full. To rule that out, nothing is read from the
// connection while more than queueGate publications wait, or after more than queueBytes were read
// since none did. One more read fits above the gate: it takes 32 KiB from the kernel, or 64 KiB
// with data that TLS holds back, and a publication has at least 12 bytes. Unread data waits in the
// kernel and in the server, which disconnects a client that is too slow (max_pending).
const (
	queueSize  = 8192 // 64 KiB of pointers
	queueGate  = 1024
	queueBytes = 1 << 20
)

// intake passes publications from a NATS connection to the sink.
type intake struct {
	queue  chan *nats.Msg     // nil marks a waiting read
	passed chan struct{}      // capacity one; holds a value when the mark has been reached
	done   chan struct{}      // closed when no more publications come
	fences chan chan struct{} // by flush: closed when the publications in the queue have been passed on
	keep   *keeper            // immutable while run runs; nil without history
	read   int                // bytes read since the queue was empty; used by the reading goroutine
}

func newIntake() *intake {
	return &intake{queue: make(chan *nats.Msg, queueSize), passed: make(chan struct{}, 1), done: make(chan struct{}), fences: make(chan chan struct{})}
}

// run passes publications on in their order, until done is closed and the queue is empty.
func (q *intake) run(to broker.Sink) {
	for {
		select {
		case m := <-q.queue:
			q.hand(m, to)
		case fence := <-q.fences:
			for range len(q.queue) {
				q.hand(<-q.queue, to)
			}
			close(fence)
		case <-q.done:
			for len(q.queue) > 0 {
				q.hand(<-q.queue, to)
			}
			return
		}
	}
}

// flush returns when all that was in the queue has been passed on. Any goroutine may call it.
func (q *intake) flush(ctx context.Context) error {
	fence := make(chan struct{})
	select {
	case q.fences <- fence:
		<-fence
	case <-q.done:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (q *intake) hand(m *nats.Msg, to broker.Sink) {
	if m == nil {
		q.passed <- struct{}{}
		return
	}
	channel, content := channelOf(m.Subject), m.Data
	if q.keep != nil {
		content = q.keep.whole(m, channel)
	}
	to.Received(channel, content)
}

// wait returns when there is room for one more read, or no more publications come.
func (q *intake) wait() {
	switch waiting := len(q.queue); {
	case waiting == 0:
	case waiting < queueGate && q.read < queueBytes:
		return
	default:
		q.queue <- nil // fits in the queue
		select {
		case <-q.passed:
		case <-q.done:
		}
	}
	q.read = 0
}

// gatedConn is the connection to a server that nats.go uses, below TLS. It reads only when the
// intake has room.
//
// It is closed after a failed write: nats.go forgets what it wanted to write and goes on, and would
// then take the answer to a later command for one to a command that was never sent.
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
