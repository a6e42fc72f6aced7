package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

const (
	// beatInterval is how often a server is asked for a sign of life: three times in the
	// shortest timeout of idle connections that Redis can be given, so that none is idle.
	beatInterval = time.Second / 3
	// beatTimeout is how long a pipeline waits for that sign.
	beatTimeout = 5 * time.Second
)

// pipeline is a connection to one server that is used for publishing: all of a
// batch is written before an answer is waited for. When the connection is lost it is
// not replaced. A word that the server was not asked for is its end.
type pipeline struct {
	conn    *serverConn
	down    chan struct{} // closed when the connection is lost
	running sync.WaitGroup
	out     []byte // of the goroutine that publishes, kept for the next batch

	writing sync.Mutex // before mu: what is written first is answered first

	mu      sync.Mutex        // held while lost is called
	waiting []*exchange       // in the order of the answers
	broken  error             // why the connection is lost
	lost    func(cause error) // called when it is, once; nil after close
}

// exchange is commands that are sent together.
type exchange struct {
	each func(i int, r respReply, refusal error) // takes an answer, with pipeline.mu locked
	want int
	got  int
	all  chan struct{} // closed when all answers have come
}

// newPipeline takes over a connection. A server that says it is a replica is lost too, if
// it must be a master. lost must not block, nor call the pipeline.
func newPipeline(conn *serverConn, mustLead bool, lost func(cause error)) *pipeline {
	p := &pipeline{conn: conn, lost: lost, down: make(chan struct{})}
	p.running.Go(p.read)
	p.running.Go(func() { p.beat(mustLead) })
	return p
}

// read hands answers to who waits for them until the connection ends.
func (p *pipeline) read() {
	for {
		r, err := p.conn.in.reply()
		if refusal, refused := errors.AsType[respError](err); refused {
			err = p.answer(r, refusal)
		} else if err == nil {
			err = p.answer(r, nil)
		}
		if err != nil {
			p.lose(err)
			return
		}
	}
}

// answer is one answer. One that nobody waits for is the end of the connection.
func (p *pipeline) answer(r respReply, refusal error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return cmp.Or(refusal, error(errRESP))
	}
	x := p.waiting[0]
	x.each(x.got, r, refusal)
	if x.got++; x.got == x.want {
		p.waiting = p.waiting[1:]
		close(x.all)
	}
	return nil
}

// beat asks for signs of life until the connection ends. What is published to a replica
// reaches none but its own subscribers.
func (p *pipeline) beat(mustLead bool) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	hello := appendCommand(nil, "HELLO", "2")
	for {
		select {
		case <-p.down:
			return
		case <-tick.C:
		}
		var s serverInfo
		ctx, cancel := link.Within(context.Background(), beatTimeout)
		_, _ = p.exchange(ctx, hello, 1, func(_ int, r respReply, _ error) { s.read(r) })
		cancel()
		if mustLead && s.replica() {
			p.lose(errors.New("the server is not the master any more"))
		}
	}
}

// lose notes the first cause, and tells it.
func (p *pipeline) lose(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return
	}
	if err == io.EOF {
		err = errors.New("closed by the server")
	}
	p.broken = fmt.Errorf("the connection for publishing to redis at %s: %w", p.conn.addr, err)
	p.waiting = nil // an answer that comes late is nobody's
	close(p.down)
	_ = p.conn.Close()
	if p.lost != nil {
		p.lost(p.broken) // with the lock held, so never after close
	}
}

// exchange writes out, and calls each for the n answers, in their order, by the time
// it returns. The error is ErrDown when nothing was written, and ErrUnknown when some
// answers have not come. Answers that do not come before ctx ends are the end of the
// connection.
func (p *pipeline) exchange(ctx context.Context, out []byte, n int, each func(int, respReply, error)) (answered int, err error) {
	x := &exchange{each: each, want: n, all: make(chan struct{})}
	if err := p.send(ctx, out, x); err != nil {
		return 0, fmt.Errorf("%w: %w", broker.ErrDown, err)
	}
	select {
	case <-x.all:
	case <-p.down:
	case <-ctx.Done():
		p.lose(whyOver(ctx))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if x.got == n { // all have come, also when the connection was lost a moment later
		return n, nil
	}
	return x.got, fmt.Errorf("%w: %w", broker.ErrUnknown, p.broken)
}

var errLinkClosed = errors.New("the link was closed")

// whyOver is why nobody waits any longer for a server.
func whyOver(ctx context.Context) error {
	if context.Cause(ctx) == context.DeadlineExceeded {
		return link.ErrNoAnswer
	}
	return errLinkClosed
}

// send writes what belongs to x, until ctx ends at most. After an error nothing was.
func (p *pipeline) send(ctx context.Context, out []byte, x *exchange) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	err := p.broken
	if err == nil && ctx.Err() != nil {
		err = whyOver(ctx)
	}
	if err == nil {
		p.waiting = append(p.waiting, x)
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(writeTimeout)
	}
	_ = p.conn.SetWriteDeadline(deadline)
	defer context.AfterFunc(ctx, func() {
		if context.Cause(ctx) != context.DeadlineExceeded {
			_ = p.conn.Close()
		}
	})()
	if _, err := p.conn.Write(out); err != nil {
		p.lose(err)
	}
	return nil
}

// publish publishes by verb and sets the outcomes.
func (p *pipeline) publish(ctx context.Context, verb string, batch []*broker.Publication) {
	p.out = p.out[:0]
	for _, pub := range batch {
		p.out = appendCommand(p.out, verb, pub.Channel, link.String(pub.Content))
	}
	n, err := p.exchange(ctx, p.out, len(batch), func(i int, _ respReply, refusal error) {
		batch[i].Err = nil
		if refusal != nil {
			batch[i].Err = fmt.Errorf("redis refuses the publication: %w", refusal)
		}
	})
	if cap(p.out) > 2*broker.MaxPublishBytes {
		p.out = nil
	}
	for _, pub := range batch[n:] {
		pub.Err = err
	}
}

func (p *pipeline) close() {
	p.mu.Lock()
	p.lost = nil
	p.mu.Unlock()
	p.lose(errLinkClosed)
	p.running.Wait()
}
