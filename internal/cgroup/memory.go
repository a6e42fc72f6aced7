// Package cgroup reads what the kernel says of the control groups of this process.
package cgroup

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// NoLimit is more memory than there is, in bytes. A cgroup of version 1 without a
// limit, and Go, say numbers above it.
const NoLimit = math.MaxInt / 2

// Memory is the memory of a cgroup, in bytes.
type Memory struct {
	Version int    // 1 or 2, and 0 when no limit is known
	Path    string // of the cgroup, "/" for the uppermost that is to be seen
	Limit   int    // 0 when no limit is known
	Used    int    // what counts against the limit now, without files that could be dropped
}

// hierarchy is how one version shows the memory of its groups.
type hierarchy struct {
	version            int
	dir                string
	limit, used, stats string // names of files
	inactive           string // the row of stats that has the files that could be dropped
}

var (
	unified = hierarchy{2, "sys/fs/cgroup", "memory.max", "memory.current", "memory.stat", "inactive_file"}
	legacy  = hierarchy{1, "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file"}
)

// ReadMemory returns the memory of the cgroup that has the least limit, of those of the
// process and those around them; cgroups(7). In a container the path may be one that
// only the host sees: what is mounted there is the container's own, found at the root.
func ReadMemory(root fs.FS) Memory {
	return choose(root, func(a, b Memory) bool { return a.Limit < b.Limit })
}

// FullestMemory is like ReadMemory, but returns the cgroup that has used most of its limit.
// That may be one around the process's own, because of what other groups in it use.
func FullestMemory(root fs.FS) Memory {
	return choose(root, func(a, b Memory) bool { return a.part() > b.part() })
}

// part returns which part of its limit a cgroup has used.
func (m Memory) part() float64 { return float64(m.Used) / float64(m.Limit) }

// choose returns the cgroup with a limit that is before all others. Of equal ones it is the
// innermost.
func choose(root fs.FS, before func(a, b Memory) bool) (chosen Memory) {
	eachGroup(root, "memory", func(version int, group string) {
		h := unified
		if version == 1 {
			h = legacy
		}
		if m := h.read(root, group); m.Limit > 0 && (chosen.Limit == 0 || before(m, chosen)) {
			chosen = m
		}
	})
	return chosen
}

// read returns the memory of the group at a path, or the zero value if it has no limit.
func (h hierarchy) read(root fs.FS, at string) Memory {
	dir := path.Join(h.dir, at)
	n := number(root, path.Join(dir, h.limit))
	if n <= 0 || n >= NoLimit {
		return Memory{}
	}
	used := number(root, path.Join(dir, h.used)) - row(root, path.Join(dir, h.stats), h.inactive)
	return Memory{Version: h.version, Path: at, Limit: n, Used: max(used, 0)}
}

// eachGroup calls visit with the paths of the cgroups of this process that have a
// controller, and of those around them, from the innermost; cgroups(7).
func eachGroup(root fs.FS, controller string, visit func(version int, group string)) {
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		version := 1
		if controllers == "" {
			version = 2
		} else if !slices.Contains(strings.Split(controllers, ","), controller) {
			continue
		}
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			visit(version, at)
			if at == "/" {
				break
			}
		}
	}
}

// number returns the number in a file, or 0.
func number(root fs.FS, file string) int {
	text, _ := fs.ReadFile(root, file)
	n, _ := strconv.Atoi(string(bytes.TrimSpace(text)))
	return n
}

// row returns the number behind a name in a file of such lines, or 0.
func row(root fs.FS, file, name string) int {
	text, _ := fs.ReadFile(root, file)
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}
