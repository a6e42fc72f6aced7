package logs

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueue bounds the bytes that wait to be written, some 5,000 lines. The write under way may have
// as many again.
const maxQueue = 1 << 20

// keepQueue is the largest buffer that is kept when it is empty.
const keepQueue = 64 << 10

// Writer passes lines on to a file that may be slow, full or closed. Any goroutine may call its
// methods.
type Writer struct {
	to     io.Writer
	report func(to io.Writer, dropped uint64)
	total  atomic.Uint64 // lines dropped

	mu       sync.Mutex // a leaf lock
	queue    []byte     // waiting lines; guarded by mu
	spare    []byte     // empty; guarded by mu
	reported uint64     // the part of total that was reported; guarded by mu
	closed   bool       // guarded by mu

	wake  chan struct{} // capacity one; closed by Close
	ended chan struct{}
}

// NewWriter starts a goroutine that writes to to. When lines can be written again after some were
// dropped, that goroutine calls report to write a line about them.
func NewWriter(to io.Writer, report func(to io.Writer, dropped uint64)) *Writer {
	w := &Writer{to: to, report: report, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write queues p, which is one line and borrowed. It never blocks and never fails. When the queue
// is full, or after Close, it drops and counts the line.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.queue)+len(p) > maxQueue {
		w.total.Add(1)
		return len(p), nil
	}
	w.queue = append(w.queue, p...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Dropped returns how many lines were dropped or could not be written.
func (w *Writer) Dropped() uint64 { return w.total.Load() }

// Close writes the queued lines, for at most within. It does not wait for a write that is stuck.
func (w *Writer) Close(within time.Duration) {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	}
}

func (w *Writer) run() {
	defer close(w.ended)
	for range w.wake {
		w.writeAll()
	}
	w.writeAll()
}

// writeAll writes until the queue is empty. Lines that the file refuses are dropped: its reader may
// have ended, and another may come.
func (w *Writer) writeAll() {
	for {
		lines, missing := w.take()
		if len(lines) == 0 {
			return
		}
		if n, err := w.to.Write(lines); err != nil {
			w.total.Add(uint64(bytes.Count(lines[n:], []byte("\n"))))
			w.unreport(missing)
		} else if missing > 0 {
			w.reportMissing(missing)
		}
		w.recycle(lines)
	}
}

// take returns the queued lines, and how many dropped lines have not been reported.
func (w *Writer) take() (lines []byte, missing uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil, 0
	}
	lines, w.queue, w.spare = w.queue, w.spare, nil
	total := w.total.Load()
	missing, w.reported = total-w.reported, total
	return lines, missing
}

func (w *Writer) reportMissing(n uint64) {
	var line bytes.Buffer
	w.report(&line, n)
	if _, err := w.to.Write(line.Bytes()); err != nil {
		w.unreport(n)
	}
}

// unreport marks n lines to be reported again later.
func (w *Writer) unreport(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported -= n
}

func (w *Writer) recycle(p []byte) {
	if cap(p) > keepQueue {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spare = p[:0]
}
