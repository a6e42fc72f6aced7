//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// strain is how busy generator and machine were while something was paced: who was
// too busy to look at the clock measures itself.
type strain struct {
	receiver float64 // share of a core that the busiest receiving thread used
	pacer    float64 // and the pacing thread
	machine  float64 // share of all cores that was in use, by whomever
}

// strained runs what is paced on one thread, and adds to its latencies how busy that
// thread, the receivers of some crowds and the machine were.
func strained(paced func() (*latencies, error), crowds ...*crowd) (*latencies, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := unix.Gettid()
	receivers, start := allThreadTimes(crowds), time.Now()
	own, err := threadClock(tid)
	if err != nil {
		return nil, err
	}
	machine, err := readMachineTime()
	if err != nil {
		return nil, err
	}
	took, err := paced()
	if err != nil {
		return nil, err
	}
	wall := time.Since(start)
	s := strain{receiver: busiestOf(receivers, allThreadTimes(crowds), wall)}
	ownNow, err := threadClock(tid)
	if err != nil {
		return nil, err
	}
	s.pacer = float64(ownNow-own) / float64(wall)
	machineNow, err := readMachineTime()
	s.machine = machineNow.shareSince(machine)
	took.strain = &s
	return took, err
}

// allThreadTimes are those of the receivers of several crowds, of which any may be nil.
func allThreadTimes(crowds []*crowd) []time.Duration {
	var all []time.Duration
	for _, c := range crowds {
		all = append(all, c.threadTimes()...)
	}
	return all
}

// busiestOf is the largest share of the wall time that a thread used.
func busiestOf(before, after []time.Duration, wall time.Duration) (share float64) {
	for i, t := range after {
		share = max(share, float64(t-before[i])/float64(wall))
	}
	return share
}

// machineTime is what all cores together have spent, in ticks: proc_stat(5).
type machineTime struct{ busy, all int64 }

func readMachineTime() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the line "cpu user nice system idle iowait irq softirq steal
// guest guest_nice". The last two are a part of the first two. What a hypervisor has
// stolen was in use, if not by this machine.
func parseMachineTime(text string) (t machineTime, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[0] != "cpu" {
		return t, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, field := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return t, fmt.Errorf("/proc/stat: %w", err)
		}
		t.all += n
		if i != 3 && i != 4 {
			t.busy += n
		}
	}
	return t, nil
}

// shareSince is the share of all cores in use since; 0 when it was too short to tell.
func (t machineTime) shareSince(from machineTime) float64 {
	if t.all <= from.all {
		return 0
	}
	return float64(t.busy-from.busy) / float64(t.all-from.all)
}

// addStrain records how busy it was in one paced phase, and says so, once for all
// rounds, when the latencies are the generator's or the machine's.
func (r *record) addStrain(server, what string, rounds []strain) {
	var busiest, pacer, machine []float64
	for _, s := range rounds {
		busiest = append(busiest, max(s.receiver, s.pacer))
		pacer = append(pacer, s.pacer)
		machine = append(machine, s.machine*float64(runtime.NumCPU()))
	}
	r.addGenerator(server, what, busiest)
	r.detail("", fmt.Sprintf("generator's pacing thread: %s, %s", server, what), "cores", pacer...)
	r.detail("", fmt.Sprintf("cores in use: %s, %s", server, what), "cores", machine...)
	if used := summarize(machine).Median; used >= fullMachine*float64(runtime.NumCPU()) {
		r.remark("%s, %s: the machine was full (%s of %d cores in use, by everybody); latencies are limited by that", server, what, show(used), runtime.NumCPU())
	}
}
