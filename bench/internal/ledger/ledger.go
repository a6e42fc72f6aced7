// Package ledger writes a number and a due time into each content and reads them back: so that "exactly once"
// and latency come out the same for every scenario and every server.
package ledger

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MinSize is the least content: quotation marks, and in them a mark and two numbers of 16 hexadecimal digits.
const MinSize = 2 + len(mark) + 2*digits

const (
	mark   = "#"
	digits = 16
)

// Append appends a content of size bytes, at least MinSize: number n, due at a time in nanoseconds since 1970.
func Append(dst []byte, n uint32, due int64, size int) []byte {
	dst = fmt.Appendf(dst, `"%s%016x%016x`, mark, n, due)
	for range size - MinSize {
		dst = append(dst, 'x')
	}
	return append(dst, '"')
}

// Find returns number and due time of the content somewhere in a message. ok is false when there is none.
func Find(message []byte) (n uint32, due int64, ok bool) {
	i := bytes.Index(message, []byte(`"`+mark))
	if i < 0 || len(message) < i+MinSize {
		return 0, 0, false
	}
	p := message[i+2:]
	number, err1 := strconv.ParseUint(string(p[:digits]), 16, 32)
	at, err2 := strconv.ParseInt(string(p[digits:2*digits]), 16, 64)
	return uint32(number), at, err1 == nil && err2 == nil
}

// window is how many numbers behind the newest are told apart.
const window = 64

// Account is what one member has heard of a sequence of numbers, from 0 on, or from another one after Begin.
type Account struct {
	newest uint32 // behind the highest number heard
	seen   uint64 // of the window below newest: bit 0 is newest-1
}

// Begin makes n the next number that is expected.
func (a *Account) Begin(n uint32) { *a = Account{n, ^uint64(0)} }

// Note takes a number that was heard. lost is how many can't come any more; double, that it came before or too late.
func (a *Account) Note(n uint32) (lost int, double bool) {
	if n >= a.newest {
		ahead := n - a.newest + 1
		if ahead > window {
			lost = int(ahead) - window + window - bits.OnesCount64(a.seen)
			a.seen = 0
		} else {
			lost = bits.OnesCount64(^a.seen >> (window - ahead))
			a.seen <<= ahead
		}
		a.seen |= 1
		a.newest = n + 1
		return lost, false
	}
	at := a.newest - 1 - n
	if at >= window || a.seen>>at&1 == 1 {
		return 0, true
	}
	a.seen |= 1 << at
	return 0, false
}

// Missing returns how many numbers below end have not been heard, of those not lost.
func (a *Account) Missing(end uint32) int {
	missing := bits.OnesCount64(^a.seen)
	if end > a.newest {
		missing += int(end - a.newest)
	}
	return missing
}

// NewHistogram returns one for latencies in nanoseconds, of three digits up to a minute.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)
}

// Record takes a latency, whatever its size.
func Record(h *hdrhistogram.Histogram, d int64) {
	_ = h.RecordValue(min(max(d, h.LowestTrackableValue()), h.HighestTrackableValue()))
}
