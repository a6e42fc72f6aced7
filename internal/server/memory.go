package server

import (
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

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

// goMemoryLimit returns GOMEMLIMIT in bytes, 0 when there is none. The program may have told Go's
// runtime a limit of its own; that is none.
func goMemoryLimit() int {
	if os.Getenv("GOMEMLIMIT") == "" {
		return 0
	}
	if n := debug.SetMemoryLimit(-1); n < cgroup.NoLimit {
		return int(n)
	}
	return 0
}

// memoryMeter returns a function that reads how much memory is in use, and how much may be. It is
// nil when no limit is known.
//
// There may be two limits: that of the process, MaxMemory, for the memory that only it has, and that
// of its cgroup, for all that the kernel counts there: buffers of sockets too, but not files that it
// could drop. Groups around it count too. What the function returns is of the limit that is nearest.
func (c *Config) memoryMeter() func() (used, limit int64) {
	if c.MaxMemory == 0 {
		return nil
	}
	root, most := os.DirFS("/"), int64(c.MaxMemory)
	return func() (used, limit int64) { return nearest(root, most) }
}

func nearest(root fs.FS, most int64) (used, limit int64) {
	used, limit = ownMemory(root), most
	group := cgroup.FullestMemory(root)
	if group.Limit > 0 && float64(group.Used)/float64(group.Limit) > float64(used)/float64(limit) {
		return int64(group.Used), int64(group.Limit)
	}
	return used, limit
}

// ownMemory returns the resident memory of the process, without what it may share, such as the
// program's file; proc_pid_statm(5). It is 0 when it cannot be read.
func ownMemory(root fs.FS) int64 {
	text, _ := fs.ReadFile(root, "proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return 0
	}
	resident, _ := strconv.ParseInt(fields[1], 10, 64)
	shared, _ := strconv.ParseInt(fields[2], 10, 64)
	return (resident - shared) * int64(os.Getpagesize())
}

// orNone returns n for the log.
func orNone(n int) any {
	if n == 0 {
		return "none"
	}
	return n
}
