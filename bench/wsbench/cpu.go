//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wsify/bench/internal/process"
)

// userHZ is the unit of the times in /proc/PID/stat: proc(5) and sysconf(3) give
// 100 on every architecture that Go supports.
const userHZ = 100

// cpuTime is the CPU time of one process, as the system tells it three ways.
type cpuTime struct {
	Stat  time.Duration // utime+stime of /proc/PID/stat, in steps of 10 ms
	User  time.Duration // utime alone
	Sched time.Duration // sum over /proc/PID/task/*/schedstat, without threads that ended
	Clock time.Duration // the CPU clock of the process, clock_getcpuclockid(3)
}

// add returns what both are together.
func (t cpuTime) add(u cpuTime) cpuTime {
	return cpuTime{Stat: t.Stat + u.Stat, User: t.User + u.User, Sched: t.Sched + u.Sched, Clock: t.Clock + u.Clock}
}

// sub returns what was spent between from and t.
func (t cpuTime) sub(from cpuTime) cpuTime {
	return cpuTime{Stat: t.Stat - from.Stat, User: t.User - from.User, Sched: t.Sched - from.Sched, Clock: t.Clock - from.Clock}
}

func readCPU(pid int) (cpuTime, error) {
	var t cpuTime
	var err error
	if t.User, t.Stat, err = statTime(pid); err != nil {
		return t, err
	}
	if t.Sched, err = process.SchedTime(pid); err != nil {
		return t, err
	}
	t.Clock, err = processClock(pid)
	return t, err
}

func statTime(pid int) (user, all time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(text))
}

// parseStat returns utime and utime+stime, fields 14 and 15. The name in field 2
// may hold blanks and brackets, so fields are counted from its last bracket.
func parseStat(text string) (user, all time.Duration, err error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("/proc/PID/stat has %d fields after the name", len(fields))
	}
	u, err1 := strconv.ParseInt(fields[11], 10, 64)
	s, err2 := strconv.ParseInt(fields[12], 10, 64)
	const tick = time.Second / userHZ
	return time.Duration(u) * tick, time.Duration(u+s) * tick, errors.Join(err1, err2)
}

// userShare is the part of the time that was spent in user space, by the coarse
// account; 0 when there is too little to tell.
func (t cpuTime) userShare() float64 {
	if t.Stat <= 0 {
		return 0
	}
	return float64(t.User) / float64(t.Stat)
}

// Clock ids of other processes and threads, as the kernel composes them:
// include/linux/posix-timers.h.
const (
	clockSched     = 2
	clockPerThread = 4
)

func processClock(pid int) (time.Duration, error) { return cpuClock(^pid<<3 | clockSched) }

func threadClock(tid int) (time.Duration, error) {
	return cpuClock(^tid<<3 | clockPerThread | clockSched)
}

func cpuClock(id int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(id), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Bounds of quiet.
const (
	quietStep  = 4 * time.Millisecond
	quietSpend = 40 * time.Microsecond // of CPU in a step: what a runtime spends on itself
	quietMax   = time.Second
)

// quiet waits until the process does next to nothing, so that what it still had
// to do for the load before is not counted for the load that follows. It reports
// whether that came within quietMax.
func quiet(pid int) (bool, error) {
	last, err := processClock(pid)
	if err != nil {
		return false, err
	}
	for end := time.Now().Add(quietMax); time.Now().Before(end); {
		time.Sleep(quietStep)
		now, err := processClock(pid)
		if err != nil {
			return false, err
		}
		if now-last < quietSpend && !runnable(pid) {
			return true, nil
		}
		last = now
	}
	return false, nil
}

// runnable reports whether a thread of the process is running, or would be if the
// machine were not full: proc_pid_stat(5), state.
func runnable(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // the pattern is a good one
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread ended
		}
		if _, rest, ok := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " "); ok && rest[0] == 'R' {
			return true
		}
	}
	return false
}

// addNoise says in how many of a phase's rounds the process was never quiet before or
// after the load. No rounds are no remark.
func (r *record) addNoise(server, what string, rounds int) {
	if rounds > 0 {
		r.remark("%s, %s: still busy %v before or after the load, in %d of the rounds; its CPU is not of the load alone", server, what, quietMax, rounds)
	}
}

// spent is what one phase of load cost.
type spent struct {
	cpu     cpuTime   // of the process under load
	more    []cpuTime // of the meter's others
	wall    time.Duration
	busiest float64 // share of the wall time that the busiest thread of the generator was on a CPU
	noise   int     // 1 when the process was never quiet before or after it
}

// meter measures phases of load on one process. The threads that generate it are those
// of two crowds, of which any may be nil, and, where that makes the load, the caller's.
type meter struct {
	pid    int
	more   []int // other processes that work for the same load
	crowd  *crowd
	beside *crowd
	here   bool // the load is made by the calling thread
}

// threadTimes returns the CPU time of each generating thread so far.
func (m meter) threadTimes() []time.Duration {
	times := allThreadTimes([]*crowd{m.crowd, m.beside})
	if m.here {
		t, _ := threadClock(unix.Gettid()) // which is alive
		times = append(times, t)
	}
	return times
}

// pids are all processes that are measured, the main one first.
func (m meter) pids() []int { return append([]int{m.pid}, m.more...) }

// calm waits until each of them is quiet, and then reads what it has used. It reports
// whether all were quiet in time.
func (m meter) calm() (used []cpuTime, all bool, err error) {
	all = true
	for _, pid := range m.pids() {
		is, err := quiet(pid)
		if err != nil {
			return nil, false, err
		}
		all = all && is
	}
	for _, pid := range m.pids() {
		t, err := readCPU(pid)
		if err != nil {
			return nil, false, err
		}
		used = append(used, t)
	}
	return used, all, nil
}

// measure runs load between two quiet moments of the processes.
func (m meter) measure(load func() error) (spent, error) {
	var s spent
	before, calm, err := m.calm()
	if err != nil {
		return s, err
	}
	if m.here {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	threads, start := m.threadTimes(), time.Now()
	if err := load(); err != nil {
		return s, err
	}
	s.wall = time.Since(start)
	s.busiest = busiestOf(threads, m.threadTimes(), s.wall)
	after, still, err := m.calm()
	if err != nil {
		return s, err
	}
	if !calm || !still {
		s.noise = 1
	}
	for i := range after {
		s.more = append(s.more, after[i].sub(before[i]))
	}
	s.cpu, s.more = s.more[0], s.more[1:]
	return s, nil
}
