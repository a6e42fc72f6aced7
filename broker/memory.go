package broker

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrClosed means that Close was called: the broker takes no more publications.
var ErrClosed = errors.New("the broker is closed")

// MemoryDriver is the driver of Memory.
var MemoryDriver = Driver{Name: "memory", Open: func(Config) (Broker, error) { return &Memory{}, nil }}

var _ Broker = (*Memory)(nil)

// Memory is the broker of a single node. It delivers each publication at once and keeps nothing, so
// nothing is ever pending, no publisher waits, and no other node is involved.
type Memory struct {
	deliver func(channel, content []byte) error // immutable after Start
	closed  atomic.Bool
}

// Start sets the receiver of publications.
func (m *Memory) Start(deliver func(channel, content []byte) error, _ func(*Waiter)) error {
	m.deliver = deliver
	return nil
}

// Publish returns the error of deliver, or ErrClosed.
func (m *Memory) Publish(_ *Waiter, channel, content []byte, _ func(Receipt, error)) (pending bool, r Receipt, err error) {
	if m.closed.Load() {
		return false, r, ErrClosed
	}
	return false, r, m.deliver(channel, content)
}

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
