// Package ledger writes a number and a due time into each content and reads them back: so that "exactly once"
// and latency come out the same for every scenario and every server.
package ledger

import (
	"bytes"
	"fmt"
	"slices"
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

// Account is the set of numbers that one member has heard, from 0 on, or from another one after Begin.
type Account struct {
	first, next uint32   // next is behind the highest number heard
	heard       []uint64 // a bit for each number
}

// Begin makes n the first number that counts.
func (a *Account) Begin(n uint32) { *a = Account{first: n, next: n, heard: a.heard[:0]} }

// Note takes a number that was heard. double says that it came before, or is below the first; late, that a higher one did.
func (a *Account) Note(n uint32) (double, late bool) {
	if n < a.first || a.has(n) {
		return true, false
	}
	i := n - a.first
	for uint32(len(a.heard)) <= i/64 {
		a.heard = append(a.heard, 0)
	}
	a.heard[i/64] |= 1 << (i % 64)
	late = n < a.next
	a.next = max(a.next, n+1)
	return false, late
}

func (a *Account) has(n uint32) bool {
	return n < a.next && a.heard[(n-a.first)/64]>>((n-a.first)%64)&1 == 1
}

// Missing returns how many numbers below end have not been heard, except for some that nobody has to hear.
func (a *Account) Missing(end uint32, but []uint32) (missing int) {
	for n := a.first; n < end; n++ {
		if !a.has(n) && !slices.Contains(but, n) {
			missing++
		}
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
