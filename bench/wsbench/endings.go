//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// endings counts connections that the server closed, by the code of the Close frame;
// 0 is without one. The zero value is ready.
type endings struct {
	mu    sync.Mutex
	codes map[uint16]int
	total int
	at    time.Time // the last
}

// note counts one. It is called by receivers.
func (e *endings) note(_ *member, code uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.codes == nil {
		e.codes = make(map[uint16]int)
	}
	e.codes[code]++
	e.total++
	e.at = time.Now()
}

func (e *endings) of(code uint16) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.codes[code]
}

func (e *endings) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

func (e *endings) last() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at
}

// await waits for n endings, for a time, and reports whether they came.
func (e *endings) await(n int, limit time.Duration) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); e.count() < n; <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// String tells the codes and how often each came.
func (e *endings) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var parts []string
	for code, n := range e.codes {
		if code == 0 {
			parts = append(parts, fmt.Sprintf("%d without a Close frame", n))
		} else {
			parts = append(parts, fmt.Sprintf("%d with %d", n, code))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
