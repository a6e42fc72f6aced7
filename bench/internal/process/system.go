//go:build linux

package process

import (
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"wsify/bench/internal/record"
)

// CPU is the CPU time of a process so far, of all threads, also those that have ended: the clock of
// clock_getcpuclockid(3), composed as in the kernel's include/linux/posix-timers.h.
func CPU(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Quiet waits until all of these processes do next to nothing, so that what is still done for the load before
// does not count for the next. It reports whether that came within a second.
func Quiet(pids ...int) bool {
	const step, idle = 4 * time.Millisecond, 40 * time.Microsecond
	last := make([]time.Duration, len(pids))
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(step) {
		busy := false
		for i, pid := range pids {
			now, _ := CPU(pid)
			busy = busy || now-last[i] > idle
			last[i] = now
		}
		if !busy {
			return true
		}
	}
	return false
}

// Memory is the resident memory of a process, in bytes.
func Memory(pid int) (int64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	return int64(stat.ResidentMemory()), err
}

// Settled waits until the resident memory of a process rests for two seconds, at most for patience, and returns it.
func Settled(pid int, patience time.Duration) (int64, error) {
	const rest, slack = 2 * time.Second, 64 << 10
	last, err := Memory(pid)
	since := time.Now()
	for end := since.Add(patience); err == nil && time.Since(since) < rest && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		var now int64
		if now, err = Memory(pid); now > last+slack || now < last-slack {
			last, since = now, time.Now()
		}
	}
	return last, err
}

// KernelMemory is what the kernel of this machine uses for itself and for sockets, in bytes.
func KernelMemory() int64 {
	fs, _ := procfs.NewDefaultFS()
	m, err := fs.Meminfo()
	if err != nil || m.Slab == nil || m.PageTables == nil || m.KernelStack == nil {
		return 0
	}
	sum := int64(*m.Slab+*m.PageTables+*m.KernelStack) << 10
	if stat, err := fs.NetSockstat(); err == nil {
		for _, p := range stat.Protocols {
			if p.Protocol == "TCP" && p.Mem != nil {
				sum += int64(*p.Mem) * int64(os.Getpagesize())
			}
		}
	}
	return sum
}

// ListenOverflows is how many connections this machine's listeners have dropped because their queue was full.
func ListenOverflows() float64 {
	p, err := procfs.Self()
	if err != nil {
		return 0
	}
	n, err := p.Netstat()
	if err != nil || n.ListenOverflows == nil {
		return 0
	}
	return *n.ListenOverflows
}

// Shares is CPU time of the whole machine so far, in seconds.
type Shares struct{ All, Steal, SoftIRQ float64 }

func ReadShares() Shares {
	fs, _ := procfs.NewDefaultFS() // where there is none, Stat says so
	stat, err := fs.Stat()
	if err != nil {
		return Shares{}
	}
	t := stat.CPUTotal
	return Shares{t.User + t.Nice + t.System + t.Idle + t.Iowait + t.IRQ + t.SoftIRQ + t.Steal, t.Steal, t.SoftIRQ}
}

func Machine() record.Machine {
	m := record.Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Sysctls: map[string]string{}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.FileLimit = limit.Cur
	}
	for _, name := range []string{"net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_mem", "fs.nr_open"} {
		if text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			m.Sysctls[name] = strings.Join(strings.Fields(string(text)), " ")
		}
	}
	fs, _ := procfs.NewDefaultFS()
	if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
		m.CPU = cpus[0].ModelName
	}
	if info, err := fs.Meminfo(); err == nil && info.MemTotal != nil {
		m.Memory = *info.MemTotal << 10
	}
	if load, err := fs.LoadAvg(); err == nil {
		m.Load = load.Load1
	}
	m.IRQInTask = ReadShares().SoftIRQ == 0
	return m
}
