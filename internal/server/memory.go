package server

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryLimit is how many bytes of memory the process may use: GOMEMLIMIT, else the
// limit of its cgroup. 0 is no limit that is known.
func memoryLimit() int {
	if n := debug.SetMemoryLimit(-1); n < noLimit {
		return int(n)
	}
	return cgroupLimit(os.DirFS("/"))
}

// noLimit is more memory than there is. A cgroup of version 1 without a limit, and Go,
// say numbers above it.
const noLimit = math.MaxInt / 2

// cgroupLimit is the least limit of the process's cgroups and those around them, or 0;
// cgroups(7). In a container the path may be one that only the host sees: what is
// mounted there is the container's own, found at the root.
func cgroupLimit(root fs.FS) int {
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	least := noLimit
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			least = min(least, leastAbove(root, "sys/fs/cgroup", group, "memory.max"))
		case strings.Contains(controllers, "memory"):
			least = min(least, leastAbove(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	if least == noLimit {
		return 0
	}
	return least
}

// leastAbove is the least number in the files called name from dir/group up to dir.
func leastAbove(root fs.FS, dir, group, name string) int {
	least := noLimit
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		text, _ := fs.ReadFile(root, path.Join(dir, at, name))
		if n, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil && n > 0 {
			least = min(least, n)
		}
		if at == "/" {
			return least
		}
	}
}

// orNone is n for the log.
func orNone(n int) any {
	if n == 0 {
		return "none"
	}
	return n
}
