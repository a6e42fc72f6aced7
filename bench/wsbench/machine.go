//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where a record was made.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Files  uint64 `json:"rlimit_nofile"`
	Memory uint64 `json:"memory_bytes"`
	Load   string `json:"load_average"` // at the start: who else used the machine
	Go     string `json:"go"`           // this program's; the server may differ
	OS     string `json:"os"`

	Sysctl map[string]string `json:"sysctl"` // what bounds connections and their memory
}

// sysctls are the kernel's settings a record tells, as paths below /proc/sys.
var sysctls = []string{
	"fs/nr_open", "fs/file-max", "net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog", "net/ipv4/ip_local_port_range",
	"net/ipv4/tcp_mem", "net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem",
}

func readSysctls() map[string]string {
	values := make(map[string]string)
	for _, name := range sysctls {
		if text, err := os.ReadFile("/proc/sys/" + name); err == nil {
			values[strings.ReplaceAll(name, "/", ".")] = strings.Join(strings.Fields(string(text)), " ")
		}
	}
	return values
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpuModel(),
		Sysctl: readSysctls()}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.TrimSpace(string(load))
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		m.Files = limit.Cur
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	return m
}

// cpuModel is the first model name of /proc/cpuinfo, which some architectures lack.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// raiseFiles raises the limit of descriptors to the hard limit. It goes through
// package syscall, which then leaves it raised for children too.
func raiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	limit.Cur = limit.Max
	return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
}

// filesOf returns the descriptor limit of a process.
func filesOf(pid int) uint64 {
	var limit unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit) != nil {
		return 0
	}
	return limit.Cur
}

// commit names what git has checked out, with "+" when there are changes to
// tracked files; "unknown" without git.
func commit(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(head))
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil || len(changed) > 0 {
		name += "+"
	}
	return name
}
