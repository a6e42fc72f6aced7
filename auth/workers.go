package auth

import (
	"runtime/debug"
	"sync"

	"wsify/internal/ring"
)

// Workers runs calls that may block, such as those to the authorizer. It bounds how many run and
// how many wait. A worker is a goroutine that exists while there is work; an idle pool has none.
type Workers struct {
	// OnPanic, which may be nil, is called by the worker's goroutine with the value and the stack
	// of a panic. The panic ends only the call that caused it; the worker goes on with the next.
	// Set it before the first Submit.
	OnPanic func(value any, stack []byte)

	size    int
	backlog int
	room    func()

	mu      sync.Mutex        // a leaf lock
	queue   ring.Ring[func()] // waiting calls; guarded by mu
	running int               // guarded by mu
	refused bool              // guarded by mu; Submit has returned false since room was called
	stopped bool              // guarded by mu
	done    sync.WaitGroup
}

// NewWorkers returns a pool of size workers and a backlog of waiting calls; a size below 1 means 1.
// room, which may be nil, is called once from a worker's goroutine when a call can be submitted
// again after one or more were refused. It must not block.
func NewWorkers(size, backlog int, room func()) *Workers {
	return &Workers{size: max(size, 1), backlog: backlog, room: room}
}

// Submit runs fn on a worker, or queues it when all are busy. When the backlog is full it returns
// false, does not take fn, and room is called later. It never blocks, and any goroutine may call
// it. A stopped pool takes no calls, and room is not called after Stop has returned. Calls begin in
// the order they were submitted; fn may panic, but must not call runtime.Goexit.
func (w *Workers) Submit(fn func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
		return false
	case w.running < w.size:
		w.running++
		w.done.Add(1)
		go w.work(fn)
	case w.queue.Len() < w.backlog:
		w.queue.Push(fn)
	default:
		w.refused = true
		return false
	}
	return true
}

// work runs fn and then the waiting calls, until none is left.
func (w *Workers) work(fn func()) {
	defer w.done.Done()
	for fn != nil {
		w.run(fn)
		var tell bool
		if fn, tell = w.next(); tell {
			w.run(w.room)
		}
	}
}

// run calls fn and contains its panic: a worker must not end the process.
func (w *Workers) run(fn func()) {
	defer func() {
		if v := recover(); v != nil && w.OnPanic != nil {
			w.OnPanic(v, debug.Stack())
		}
	}()
	fn()
}

// next returns the call that has waited longest, or nil when the worker has to end, and whether
// room has to be called.
func (w *Workers) next() (fn func(), tell bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tell = w.refused && w.room != nil && !w.stopped
	w.refused = false
	if w.queue.Len() == 0 {
		w.running--
		return nil, tell
	}
	return w.queue.Pop(), tell
}

// Busy returns how many calls are running and how many are waiting.
func (w *Workers) Busy() (running, waiting int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running, w.queue.Len()
}

// Stop takes no further call, drops those that wait, and returns when the running
// ones have ended, so a call must not make it. It may be called more than once.
func (w *Workers) Stop() {
	w.mu.Lock()
	w.stopped = true
	w.queue = ring.Ring[func()]{}
	w.mu.Unlock()
	w.done.Wait()
}
