package broker

import (
	"context"
	"errors"
	"sync/atomic"

	"wsify/broker/internal/link"
)

// ErrClosed means that Close was called: the broker takes no more publications.
var ErrClosed = errors.New("the broker is closed")

// MemoryDriver is the driver of Memory.
var MemoryDriver = Driver{Name: "memory", Open: func(cfg Config) (Broker, error) { return NewMemory(cfg), nil }}

var _ Historian = (*Memory)(nil)

// Memory is the broker of a single node. It delivers each publication at once, so nothing is ever
// pending, no publisher waits, and no other node is involved. It keeps nothing but the history of
// Config.History, in this process. The zero value keeps none.
type Memory struct {
	deliver func(channel, content []byte) error // immutable after Start
	history *rings                              // nil without
	closed  atomic.Bool
}

// NewMemory returns a Memory. Of cfg, it uses History.
func NewMemory(cfg Config) *Memory {
	if cfg.History == nil {
		return &Memory{}
	}
	return &Memory{history: newRings(*cfg.History)}
}

// Start sets the receiver of publications.
func (m *Memory) Start(deliver func(channel, content []byte) error, _ func(*Waiter)) error {
	m.deliver = deliver
	return nil
}

// Publish returns the error of deliver, or ErrClosed, or ErrTooBig for a publication that does not
// fit into the history. Publications of one channel are delivered one after another if it keeps
// history.
func (m *Memory) Publish(_ *Waiter, channel, content []byte, _ func(Receipt, error)) (pending bool, r Receipt, err error) {
	if m.closed.Load() {
		return false, r, ErrClosed
	}
	if m.history != nil && m.history.keep.Match(link.String(channel)) {
		r.Position, err = m.history.publish(channel, content, m.deliver)
		return false, r, err
	}
	return false, r, m.deliver(channel, content)
}

// ReadHistory implements Historian. It does not wait, but for a publication of the channel that is
// being delivered.
func (m *Memory) ReadHistory(_ context.Context, channel string, after Position, last int) (Page, error) {
	if m.history == nil || !m.history.keep.Match(channel) {
		return Page{}, ErrNoHistory
	}
	return m.history.read(channel, after, last)
}

// HistoryStats returns the memory that the history takes, and how many channels have lost theirs to
// make room for others.
func (m *Memory) HistoryStats() (bytes int64, losses uint64) {
	if m.history == nil {
		return 0, 0
	}
	m.history.mu.Lock()
	defer m.history.mu.Unlock()
	return m.history.bytes, m.history.losses
}

// WhenResumed does nothing: no publication is ever missed.
func (m *Memory) WhenResumed(func(string)) {}

// The other methods of Broker.

func (m *Memory) Forgo(*Waiter)      {}
func (m *Memory) Subscribe(string)   {}
func (m *Memory) Unsubscribe(string) {}
func (m *Memory) Room(string)        {}
func (m *Memory) Up() bool           { return true }

// Settle returns at once: Publish has delivered.
func (m *Memory) Settle(context.Context) error { return nil }

func (m *Memory) Asynchronous() bool { return false }

func (m *Memory) Await([]byte, func(error)) (pending bool, err error) { return false, nil }

func (m *Memory) Close() error {
	m.closed.Store(true)
	return nil
}
