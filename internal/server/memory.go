package server

import (
	"os"
	"runtime/debug"

	"wsify/internal/cgroup"
)

// memoryLimit returns how many bytes of memory the process may use: GOMEMLIMIT, or the limit of its
// cgroup. 0 means that no limit is known.
func memoryLimit() int {
	if n := goMemoryLimit(); n > 0 {
		return n
	}
	return cgroup.ReadMemory(os.DirFS("/")).Limit
}

// goMemoryLimit returns GOMEMLIMIT in bytes, 0 when there is none.
func goMemoryLimit() int {
	if n := debug.SetMemoryLimit(-1); n < cgroup.NoLimit {
		return int(n)
	}
	return 0
}

// orNone returns n for the log.
func orNone(n int) any {
	if n == 0 {
		return "none"
	}
	return n
}
