package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

const (
	// beatInterval is the time between two signs of life: a third of the shortest timeout for idle
	// connections that Redis can be given, so that no connection counts as idle.
	beatInterval = time.Second / 3
	// maxQuiet is how many signs of life may be asked for while nothing arrives: 5 s. They are
	// counted because a stopped process does not ask.
	maxQuiet = 15

	writeTimeout = 5 * time.Second // for writeChunk
	writeChunk   = 1 << 20
)

var errLinkClosed = errors.New("the link was closed")

// conn is a connection to one server. It is not replaced when it is lost. One goroutine reads, and
// never waits for a write. Another asks for signs of life once the connection is in use. Only one
// goroutine writes at a time, for all.
type conn struct {
	raw     net.Conn
	addr    string
	in      *respReader
	to      broker.Sink   // receives pushes and the ends of subscriptions; its Lost is not called
	done    chan struct{} // closed when the connection has ended
	quiet   atomic.Int32  // signs of life asked for since anything arrived
	keep    *keeper       // nil when the connection is not for history
	running sync.WaitGroup

	mu       sync.Mutex        // held while lost is called
	lost     func(cause error) // called once when the connection is lost; nil before use and after close
	run      string            // of the server, for keep
	mustLead bool              // the connection is lost when the server says that it is a replica
	over     error             // why the connection has ended
	awaited  []*command        // in the order of writing
	out      []byte            // to be written: publications, subscriptions, signs of life
	spare    []byte            // for the next out
	writing  chan struct{}     // closed when out is written; nil while nothing is being written
}

// newConn starts reading. to is nil for a connection that does not subscribe.
func newConn(raw net.Conn, addr string, d *dialer, to broker.Sink) *conn {
	c := &conn{raw: raw, addr: addr, to: to, done: make(chan struct{})}
	c.in = newRESPReader(c, d.limit)
	c.in.secrets = d.o.secrets()
	c.running.Go(c.read)
	return c
}

// use starts the use of the connection, until it is lost or closed. lost must not block, nor call
// the connection.
func (c *conn) use(mustLead bool, lost func(cause error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mustLead, c.lost = mustLead, lost
	if c.over != nil {
		lost(c.describe(c.over))
		return
	}
	c.running.Go(c.beat)
}

// close ends the connection and waits for its goroutines.
func (c *conn) close() {
	c.mu.Lock()
	c.lost = nil
	c.mu.Unlock()
	c.lose(errLinkClosed)
	c.running.Wait()
}

// lose notes the first cause, and reports it.
func (c *conn) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return
	}
	if err == io.EOF {
		err = errors.New("closed by the server")
	}
	c.over = link.WithoutAddresses(err)
	c.awaited = nil // late answers have no receiver
	close(c.done)
	_ = c.raw.Close()
	if c.lost != nil {
		c.lost(c.describe(c.over)) // with the lock held, so never after close
	}
}

func (c *conn) describe(cause error) error {
	return fmt.Errorf("the connection to redis at %s: %w", c.addr, cause)
}

// read handles what the server sends, until the connection ends.
func (c *conn) read() {
	for {
		push, answer, err := c.in.next()
		refusal, refused := errors.AsType[respError](err)
		switch {
		case refused:
			err = c.refused(refusal)
		case err == nil && push.verb != nil:
			err = c.pushed(&push)
		case err == nil:
			err = c.answered(answer)
		}
		if err != nil {
			c.lose(err)
			return
		}
	}
}

// Read is the source of the respReader.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.raw.Read(b)
	c.quiet.Store(0)
	return n, err
}

// beat asks for signs of life until the connection ends.
func (c *conn) beat() {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if c.quiet.Add(1) > maxQuiet {
			c.lose(link.ErrNoAnswer)
			return
		}
		c.mu.Lock()
		c.hello()
		if c.keep != nil {
			c.askRun()
		}
		c.write()
		c.mu.Unlock()
	}
}

// hello sends a HELLO, whose answer has the server's role: a replica passes publications only to
// its own subscribers. The caller holds mu.
func (c *conn) hello() {
	c.out = appendCommand(c.out, "HELLO", "3")
	c.awaited = append(c.awaited, &command{want: 1, answer: func(_ int, r respReply, refusal error) error {
		switch {
		case refusal != nil:
			return fmt.Errorf("it refuses HELLO: %w", refusal)
		case len(r.list) == 0:
			return errRESP
		case c.mustLead && serverInfo(r.pairs()).replica():
			return errors.New("the server is not the master any more")
		}
		return nil
	}})
}

// write starts writing out in the background, because the server may not read. It returns a channel
// that is closed when out is written, or nil while another goroutine writes. The caller holds mu.
func (c *conn) write() (written <-chan struct{}) {
	if c.writing != nil || c.over != nil {
		return nil
	}
	c.writing = make(chan struct{})
	c.running.Go(c.flush)
	return c.writing
}

// flush writes until nothing is left. The caller has set writing.
func (c *conn) flush() {
	for out := c.take(nil); len(out) > 0; out = c.take(out) {
		for chunk := range slices.Chunk(out, writeChunk) {
			_ = c.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := c.raw.Write(chunk); err != nil {
				c.lose(err)
				break
			}
		}
	}
}

// take returns the bytes to write, or nil when all are written. It keeps the written buffer for
// reuse.
func (c *conn) take(written []byte) (out []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := cap(written); n > 0 && n <= 2*broker.MaxPublishBytes {
		c.spare = written[:0]
	}
	if len(c.out) == 0 || c.over != nil {
		close(c.writing)
		c.writing = nil
		return nil
	}
	out, c.out, c.spare = c.out, c.spare, nil
	return out
}

// exchange sends q, which encode appends, and returns when all answers have come. When they do not
// come, it returns the reason; the end of ctx ends the connection. sent reports whether the server
// may have received q.
func (c *conn) exchange(ctx context.Context, q *command, encode func(b []byte) []byte) (sent bool, err error) {
	c.mu.Lock()
	err = c.over
	if err == nil && ctx.Err() != nil {
		err = whyOver(ctx)
	}
	if err != nil {
		c.mu.Unlock()
		return false, err
	}
	q.all = make(chan struct{})
	c.out = encode(c.out)
	c.awaited = append(c.awaited, q)
	ours := c.writing == nil
	if ours {
		c.writing = make(chan struct{})
	}
	c.mu.Unlock()
	defer context.AfterFunc(ctx, func() { c.lose(whyOver(ctx)) })()
	if ours {
		c.flush() // in this goroutine, which is quicker
	}
	select {
	case <-q.all:
	case <-c.done:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.got == q.want { // all answers have come, even if the connection was lost a moment later
		return true, nil
	}
	return true, c.over
}

// whyOver returns why a wait for a server ended.
func whyOver(ctx context.Context) error {
	if context.Cause(ctx) == context.DeadlineExceeded {
		return link.ErrNoAnswer
	}
	return errLinkClosed
}

// call sends one command and returns the answer. A refusal is a respError.
func (c *conn) call(ctx context.Context, verb string, args ...string) (r respReply, err error) {
	q := &command{want: 1, answer: func(_ int, answer respReply, refusal error) error {
		r, err = answer, refusal
		return nil
	}}
	encode := func(b []byte) []byte { return appendCommand(b, verb, args...) }
	if _, lost := c.exchange(ctx, q, encode); lost != nil {
		return respReply{}, lost
	}
	return r, err
}

// caughtUp returns when what the server had sent before has been received.
func (c *conn) caughtUp(ctx context.Context) error {
	_, err := c.call(ctx, "PING")
	if _, refused := errors.AsType[respError](err); refused { // an answer, too
		return nil
	}
	return err
}

// publish publishes with verb and sets the outcomes: ErrDown for publications that cannot be sent,
// ErrUnknown for those without an answer.
func (c *conn) publish(ctx context.Context, verb string, batch []*broker.Publication) {
	c.send(ctx, verb, batch, nil)
	if c.keep == nil {
		return
	}
	if again := scriptLacks(batch); len(again) > 0 {
		c.send(ctx, verb, again, &publishScript)
	}
}

// send publishes. script is nil unless the server has to be sent it.
func (c *conn) send(ctx context.Context, verb string, batch []*broker.Publication, script *string) {
	q := &command{want: len(batch), answer: func(i int, r respReply, refusal error) (err error) {
		batch[i].Err = nil
		if refusal != nil {
			batch[i].Err = fmt.Errorf("redis refuses the publication: %w", refusal)
		} else if batch[i].Keep {
			batch[i].Receipt, err = receipt(r)
		}
		return err
	}}
	sent, err := c.exchange(ctx, q, func(b []byte) []byte {
		for _, pub := range batch {
			if pub.Keep {
				b = c.appendKept(b, verb, pub, script)
			} else {
				b = appendCommand(b, verb, pub.Channel, link.String(pub.Content))
			}
		}
		return b
	})
	if err == nil {
		return
	}
	outcome := broker.ErrDown
	if sent {
		outcome = broker.ErrUnknown
	}
	for _, pub := range batch[q.got:] {
		pub.Err = fmt.Errorf("%w: %w", outcome, c.describe(err))
	}
}
