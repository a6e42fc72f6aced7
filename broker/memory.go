package broker

import (
	"errors"
	"sync/atomic"
)

// ErrClosed says that a broker takes nothing, because Close was called.
var ErrClosed = errors.New("the broker is closed")

// Deliver hands a publication to this node's members. It does not block. Its
// error says that they have too much undelivered; nothing was taken then. Both
// slices are borrowed.
type Deliver func(channel, content []byte) error

// MemoryDriver is the driver of Memory, which nothing is told.
var MemoryDriver = Driver{Name: "memory", Open: func(Config) (Broker, error) { return &Memory{}, nil }}

var _ Broker = (*Memory)(nil)

// Memory is the broker of a single node. Its zero value must be given a Deliver
// by Start before use. It keeps nothing, so every method may be called from any
// goroutine once Start has returned.
type Memory struct {
	deliver Deliver // immutable after Start

	closed atomic.Bool
}

// Start sets who receives publications. There is always room.
func (m *Memory) Start(deliver func(channel, content []byte) error, _ func(*Waiter)) error {
	m.deliver = deliver
	return nil
}

// Publish delivers at once and returns Deliver's error, or ErrClosed. It is never
// pending, and done is never called.
func (m *Memory) Publish(channel, content []byte, _ func(error)) (pending bool, err error) {
	if m.closed.Load() {
		return false, ErrClosed
	}
	return false, m.deliver(channel, content)
}

// PublishFor is Publish: nobody waits.
func (m *Memory) PublishFor(_ *Waiter, channel, content []byte, done func(error)) (pending bool, err error) {
	return m.Publish(channel, content, done)
}

// Forgo has nothing to do: nobody waits.
func (m *Memory) Forgo(*Waiter) {}

// Subscribe and Unsubscribe have nothing to do: there is no other node.
func (m *Memory) Subscribe(string) {}

// Unsubscribe is the counterpart of Subscribe.
func (m *Memory) Unsubscribe(string) {}

// Await reports that every subscription is in force. done is never called.
func (m *Memory) Await([]byte, func(error)) (pending bool, err error) { return false, nil }

// Room has nothing to do: the publisher waits for it.
func (m *Memory) Room(string) {}

// Up reports that nothing can be away.
func (m *Memory) Up() bool { return true }

// Asynchronous reports that no answer ever comes later.
func (m *Memory) Asynchronous() bool { return false }

// Close ends the work: what is published after it returns is not delivered. It may
// be called more than once.
func (m *Memory) Close() error {
	m.closed.Store(true)
	return nil
}
