//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"wsify/bench/internal/process"
)

// memory is what one process holds, in bytes.
type memory struct {
	RSS  int64 // VmRSS of /proc/PID/status
	Anon int64 // RssAnon: heap, stacks
	File int64 // RssFile: pages of the executable
	Peak int64 // VmHWM: the highest RSS since start or resetPeak
	Pss  int64 // of /proc/PID/smaps_rollup, counted page by page
}

func readMemory(pid int) (memory, error) {
	var m memory
	sizes := map[string]*int64{"VmRSS": &m.RSS, "RssAnon": &m.Anon, "RssFile": &m.File, "VmHWM": &m.Peak}
	if err := process.ReadSizes(fmt.Sprintf("/proc/%d/status", pid), sizes); err != nil {
		return m, err
	}
	if err := process.ReadSizes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), map[string]*int64{"Pss": &m.Pss}); err != nil {
		return m, err
	}
	if m.RSS == 0 {
		return m, fmt.Errorf("process %d has no VmRSS: it ended", pid)
	}
	return m, nil
}

// resetPeak makes VmHWM start again from the RSS of now: proc(5), clear_refs.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// Settling.
const (
	settlePoll = 100 * time.Millisecond
	settleSlop = 32 << 10 // a change below this is none: 2 bytes a connection at 15,000
)

// settler waits for the memory of a process to come to rest.
type settler struct {
	stable time.Duration // unchanged for so long is settled
	min    time.Duration // not before so long: servers trim their heap seconds after a load
	max    time.Duration // taken as it is after so long
}

// wait returns the memory of the process at rest, and whether it came to rest
// before max.
func (s settler) wait(pid int) (m memory, rested bool, err error) {
	start := time.Now()
	since, level := start, int64(0)
	for {
		if m, err = readMemory(pid); err != nil {
			return m, false, err
		}
		now := time.Now()
		if diff := m.RSS - level; diff > settleSlop || diff < -settleSlop {
			since, level = now, m.RSS
		}
		switch {
		case now.Sub(since) >= s.stable && now.Sub(start) >= s.min:
			return m, true, nil
		case now.Sub(start) >= s.max:
			return m, false, nil
		}
		time.Sleep(settlePoll)
	}
}
