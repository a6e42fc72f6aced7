package broker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// neverDone is a done that must not be called.
func neverDone(t *testing.T) func(Receipt, error) {
	return func(_ Receipt, err error) { t.Errorf("done was called with %v", err) }
}

func TestPublishDeliversBeforeItReturns(t *testing.T) {
	var m Memory
	var got string
	err := m.Start(func(channel, content []byte) error {
		got = fmt.Sprintf("%s<-%s", channel, content)
		return nil
	}, nil)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	pending, _, err := m.Publish(nil, []byte("news"), []byte(`"hi"`), neverDone(t))
	if pending || err != nil || got != `news<-"hi"` {
		t.Fatalf("Publish = %t, %v; delivered %q", pending, err, got)
	}
	if pending, _, err = m.Publish(nil, []byte("news"), nil, nil); pending || err != nil || got != "news<-" {
		t.Fatalf("Publish without done = %t, %v; delivered %q", pending, err, got)
	}
}

// Publish returns the error of deliver unchanged, because callers compare it.
func TestPublishReturnsDeliversError(t *testing.T) {
	busy := errors.New("busy")
	var m Memory
	_ = m.Start(func(_, _ []byte) error { return busy }, nil)
	if pending, _, err := m.Publish(nil, []byte("news"), nil, neverDone(t)); pending || err != busy {
		t.Fatalf("Publish = %t, %v, want false, %v", pending, err, busy)
	}
}

func TestNothingIsPending(t *testing.T) {
	var m Memory
	m.Subscribe("news")
	if pending, err := m.Await([]byte("news"), func(err error) { neverDone(t)(Receipt{}, err) }); pending || err != nil || m.Asynchronous() || !m.Up() {
		t.Fatalf("Await = %t, %v, Asynchronous = %t, Up = %t", pending, err, m.Asynchronous(), m.Up())
	}
	m.Unsubscribe("news")
}

// Several goroutines publish during Close: each publication is delivered, or its publisher gets an
// error, and none is delivered after Close.
func TestWhatMeetsACloseIsDeliveredOrRefused(t *testing.T) {
	var m Memory
	var delivered atomic.Int64
	_ = m.Start(func(_, _ []byte) error {
		delivered.Add(1)
		return nil
	}, nil)
	var taken atomic.Int64
	var publishers, begun sync.WaitGroup
	for range 4 {
		begun.Add(1)
		publishers.Go(func() {
			for n := 0; ; n++ {
				if _, _, err := m.Publish(nil, []byte("news"), nil, nil); err != nil {
					if err != ErrClosed || n == 0 {
						t.Errorf("publication %d: %v, want %v after Close only", n, err, ErrClosed)
					}
					return
				}
				if taken.Add(1); n == 0 {
					begun.Done()
				}
			}
		})
	}
	begun.Wait()
	for range 2 {
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	publishers.Wait()
	if delivered.Load() != taken.Load() {
		t.Errorf("%d publications were delivered, %d were taken", delivered.Load(), taken.Load())
	}
}

// Publications of one goroutine arrive in its order.
func TestOrderIsThePublishers(t *testing.T) {
	var m Memory
	var got []byte
	_ = m.Start(func(_, content []byte) error {
		got = append(got, content...)
		return nil
	}, nil)
	for _, c := range []byte("abcdef") {
		_, _, _ = m.Publish(nil, []byte("news"), []byte{c}, nil)
	}
	if string(got) != "abcdef" {
		t.Fatalf("delivered %q, want abcdef", got)
	}
}

func TestPublishDoesNotAllocate(t *testing.T) {
	var m Memory
	_ = m.Start(func(_, _ []byte) error { return nil }, nil)
	channel, content := []byte("news"), []byte(`"hi"`)
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = m.Publish(nil, channel, content, nil) }); n != 0 {
		t.Errorf("Publish: %v allocations, want none", n)
	}
}
