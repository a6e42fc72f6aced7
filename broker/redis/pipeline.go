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

// pipeline is a connection to one server that is used for publishing: all of a
// batch is written before an answer is waited for. When the connection is lost it is
// not replaced. A word that the server was not asked for is its end.
type pipeline struct {
	conn    *serverConn
	lost    func(cause error) // called when the connection is lost, once, and not after close
	down    chan struct{}     // closed when the connection is lost
	running sync.WaitGroup

	busy sync.Mutex // held by who waits for answers; before mu
	out  []byte     // guarded by busy

	mu     sync.Mutex // held while lost is called
	each   func(i int, r respReply, refusal error)
	want   int // answers to come
	got    int
	all    chan struct{} // closed when they have come
	broken error         // why the connection is lost
	closed bool
	used   time.Time // when the last answer of an exchange came
	asking bool      // only whether the server is there is asked
}

// newPipeline takes over a connection. lost must not block, nor call the pipeline.
func newPipeline(conn *serverConn, lost func(cause error)) *pipeline {
	p := &pipeline{conn: conn, lost: lost, down: make(chan struct{}), used: time.Now()}
	p.running.Go(p.read)
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
	switch {
	case p.want == 0 && refusal != nil:
		return refusal
	case p.want == 0:
		return errRESP
	}
	p.each(p.got, r, refusal)
	p.got++
	if p.want--; p.want == 0 {
		p.used = time.Now()
		close(p.all)
	}
	return nil
}

// lose notes the first cause, and tells it.
func (p *pipeline) lose(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.broken != nil:
		return
	case p.asking && !errors.Is(err, link.ErrNoAnswer) && !errors.Is(err, errLinkClosed), p.want == 0 && closedIdle(err, p.used):
		err = errIdle
	case err == io.EOF:
		err = errors.New("closed by the server")
	}
	p.broken = fmt.Errorf("the connection for publishing to redis at %s: %w", p.conn.addr, err)
	p.want = 0 // an answer that comes late is nobody's
	close(p.down)
	_ = p.conn.Close()
	if !p.closed {
		p.lost(p.broken) // with the lock held, so never after close
	}
}

// exchange writes out, and calls each for the n answers, in their order, by the time
// it returns. sent is false when nothing was written. Answers that do not come
// before ctx ends are the end of the connection.
func (p *pipeline) exchange(ctx context.Context, out []byte, n int, each func(int, respReply, error)) (answered int, sent bool, err error) {
	p.mu.Lock()
	if p.broken != nil || ctx.Err() != nil {
		defer p.mu.Unlock()
		return 0, false, cmp.Or(p.broken, whyOver(ctx))
	}
	all := make(chan struct{})
	p.each, p.want, p.got, p.all = each, n, 0, all
	p.mu.Unlock()
	p.write(ctx, out)
	select {
	case <-all:
	case <-p.down:
	case <-ctx.Done():
		p.lose(whyOver(ctx))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.got == n { // all have come, also when the connection was lost a moment later
		return n, true, nil
	}
	return p.got, true, p.broken
}

var errLinkClosed = errors.New("the link was closed")

// whyOver is why nobody waits any longer for a server.
func whyOver(ctx context.Context) error {
	if context.Cause(ctx) == context.DeadlineExceeded {
		return link.ErrNoAnswer
	}
	return errLinkClosed
}

// write sends out, until ctx ends at most.
func (p *pipeline) write(ctx context.Context, out []byte) {
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
}

// present asks a server that closes idle connections whether it still has this one, when
// nothing has happened on it for a while: what is published on one that it closes in this
// moment may have been taken, and may not be sent again.
func (p *pipeline) present(ctx context.Context) bool {
	p.busy.Lock()
	defer p.busy.Unlock()
	p.mu.Lock()
	p.asking = time.Since(p.used) > idleAfter/2
	asking := p.asking
	p.mu.Unlock()
	if !asking {
		return true
	}
	_, _, err := p.exchange(ctx, appendCommand(nil, "PING"), 1, func(int, respReply, error) {})
	p.mu.Lock()
	p.asking = false
	p.mu.Unlock()
	return err == nil
}

// send publishes by verb and sets the outcomes. It is not done when the server had closed
// the idle connection before.
func (p *pipeline) send(ctx context.Context, verb string, batch []*broker.Publication) (done bool) {
	p.busy.Lock()
	defer p.busy.Unlock()
	p.out = p.out[:0]
	for _, pub := range batch {
		p.out = appendCommand(p.out, verb, pub.Channel, link.String(pub.Content))
	}
	n, sent, err := p.exchange(ctx, p.out, len(batch), func(i int, _ respReply, refusal error) {
		batch[i].Err = nil
		if refusal != nil {
			batch[i].Err = fmt.Errorf("redis refuses the publication: %w", refusal)
		}
	})
	if cap(p.out) > 2*broker.MaxPublishBytes {
		p.out = nil
	}
	if !sent && errors.Is(err, errIdle) {
		return false
	}
	outcome := broker.ErrDown
	if sent {
		outcome = broker.ErrUnknown
	}
	for _, pub := range batch[n:] {
		pub.Err = fmt.Errorf("%w: %w", outcome, err)
	}
	return true
}

// outlet keeps a pipeline to one server.
type outlet = keeper[*pipeline]

// publishAt publishes by verb at the server of o, and sets the outcomes.
func publishAt(ctx context.Context, o *outlet, verb string, batch []*broker.Publication) {
	for ctx.Err() == nil {
		pipe := o.ready(ctx)
		if pipe == nil {
			break
		}
		if o.idles.Load() && !pipe.present(ctx) || !pipe.send(ctx, verb, batch) {
			continue // there is, or will be, another one
		}
		if err := batch[len(batch)-1].Err; !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrDown) {
			o.hangs.Store(0)
		}
		return
	}
	cause := errNodeResting
	if ctx.Err() != nil {
		cause = whyOver(ctx)
	}
	for _, pub := range batch {
		pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, cause)
	}
}

// demoted asks the server for its role, and returns an error when it is a replica or
// does not answer.
func (p *pipeline) demoted(ctx context.Context, addr string) error {
	p.busy.Lock()
	defer p.busy.Unlock()
	var s serverInfo
	_, _, err := p.exchange(ctx, appendCommand(nil, "HELLO", "2"), 1, func(_ int, r respReply, _ error) { s.read(r) })
	switch {
	case errors.Is(err, errIdle): // another one is opened
		return nil
	case err != nil:
		return err
	}
	if s.replica() {
		return fmt.Errorf("redis at %s is not the master any more", addr)
	}
	return nil
}

func (p *pipeline) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.lose(errLinkClosed)
	p.running.Wait()
}
