package session

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"wsify/broker"
)

var _ broker.Historian = (*scripted)(nil)

// scripted is a Historian of which a test decides what arrives and what it answers. It has an
// asynchronous broker's rules: what arrives may have gaps.
type scripted struct {
	deliver func(channel, content []byte) error
	resumed func(string)

	mu    sync.Mutex
	epoch string
	all   []broker.Entry // of the present epoch, of one channel
	kept  int            // how many of the newest are kept
	err   error          // of ReadHistory
	asked []string       // what ReadHistory was asked
	gate  chan struct{}  // if not nil, ReadHistory waits until it is closed
	late  bool           // it waits with its answer, not with the question
	after func()         // if not nil, called with each answer
	wants map[string]bool
}

func newScripted() *scripted {
	return &scripted{epoch: "e", kept: 1000, wants: map[string]bool{}}
}

func (b *scripted) Start(deliver func(channel, content []byte) error, _ func(*broker.Waiter)) error {
	b.deliver = deliver
	return nil
}

func (b *scripted) Publish(_ *broker.Waiter, channel, content []byte, _ func(broker.Receipt, error)) (bool, broker.Receipt, error) {
	b.receive(b.publish(string(content)))
	return false, broker.Receipt{}, nil
}

func (b *scripted) Forgo(*broker.Waiter)                     {}
func (b *scripted) Subscribe(channel string)                 { b.want(channel, true) }
func (b *scripted) Unsubscribe(channel string)               { b.want(channel, false) }
func (b *scripted) Await([]byte, func(error)) (bool, error)  { return false, nil }
func (b *scripted) Room(string)                              {}
func (b *scripted) Settle(context.Context) error             { return nil }
func (b *scripted) Asynchronous() bool                       { return true }
func (b *scripted) Up() bool                                 { return true }
func (b *scripted) Close() error                             { return nil }
func (b *scripted) WhenResumed(resumed func(channel string)) { b.resumed = resumed }

func (b *scripted) want(channel string, wanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wants[channel] == wanted {
		panic("I12: " + channel)
	}
	b.wants[channel] = wanted
}

// publish adds a publication, which has not arrived at the node yet.
func (b *scripted) publish(content string) broker.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := uint64(len(b.all))
	e := broker.Entry{Head: broker.Head{Position: broker.Position{Epoch: b.epoch, Offset: n + 1}, Prev: n}, Content: []byte(content)}
	b.all = append(b.all, e)
	return e
}

// receive lets publications arrive at the node.
func (b *scripted) receive(entries ...broker.Entry) {
	for _, e := range entries {
		_ = b.deliver([]byte("h"), append(broker.AppendHead(nil, &e.Head), e.Content...))
	}
}

// restart loses everything.
func (b *scripted) restart(epoch string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch, b.all = epoch, nil
}

// set changes b with its lock held.
func (b *scripted) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *scripted) ReadHistory(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	b.mu.Lock()
	gate, late, then := b.gate, b.late, b.after
	b.asked = append(b.asked, fmt.Sprintf("%s/%d", after, last))
	b.mu.Unlock()
	if gate != nil && !late {
		<-gate
	}
	page, err := b.read(after, last)
	if gate != nil && late {
		<-gate
	}
	if then != nil {
		then()
	}
	return page, err
}

// read returns what is kept now.
func (b *scripted) read(after broker.Position, last int) (broker.Page, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return broker.Page{}, b.err
	}
	kept := b.all[max(len(b.all)-b.kept, 0):]
	page := broker.Page{Tail: broker.Position{Epoch: b.epoch, Offset: uint64(len(b.all))}, Complete: true}
	switch from := len(b.all) - len(kept); {
	case last > 0:
		page.Entries = kept[max(len(kept)-last, 0):]
	case after == broker.Position{}:
	case after.Epoch != b.epoch || after.Offset > page.Tail.Offset || after.Offset < uint64(from):
		page.Complete = false
	default:
		page.Entries = kept[after.Offset-uint64(from):]
	}
	return page, nil
}

// reads returns what ReadHistory was asked since the last call.
func (b *scripted) reads() (asked string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, b.asked = strings.Join(b.asked, " "), nil
	return asked
}
