//go:build linux

package main

import "runtime/debug"

// gcPercent is how much the heap may grow between collections when the operator has not set it; 100
// is Go's own default.
const gcPercent = 100

// tuneGC sets the collector's default. GOGC and GOMEMLIMIT, which Go's runtime reads itself, take
// precedence: with either of them nothing is changed. tuneGC reports whether it set anything.
func tuneGC(env map[string]string) bool {
	if env["GOGC"] != "" || env["GOMEMLIMIT"] != "" {
		return false
	}
	debug.SetGCPercent(gcPercent)
	return true
}

// leastHeap is the least limit that limitHeap sets, in bytes. Below it the collector would run all
// the time, as the server itself needs some megabytes.
const leastHeap = 16 << 20

// limitHeap tells Go's runtime the limit of memory, unless the operator has with GOMEMLIMIT: memory
// that Go has not collected yet must not be what fills it. A tenth is left to the kernel. limitHeap
// reports whether it set anything.
func limitHeap(env map[string]string, maxMemory int) bool {
	if env["GOMEMLIMIT"] != "" || maxMemory == 0 {
		return false
	}
	debug.SetMemoryLimit(max(int64(maxMemory)/100*90, leastHeap))
	return true
}
