//go:build invariants

package invariants

import (
	"bytes"
	"runtime"
)

// Enabled says whether assertions are compiled in.
const Enabled = true

// Goroutine names the calling goroutine. It is slow and for assertions only.
func Goroutine() string {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	if i := bytes.IndexByte(line, ' '); i > 0 {
		return string(line[:i])
	}
	return string(line)
}
