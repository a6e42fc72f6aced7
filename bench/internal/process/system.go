//go:build linux

package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// FreePort returns a port of the loopback that nobody listens on just now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// awaitEnd waits until a child has ended, and leaves it to be collected.
func awaitEnd(pid int) {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return
		}
	}
}

// SchedTime returns the time on a CPU of all threads of any process, without those
// that ended.
func SchedTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("process %d is gone", pid)
	}
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, file := range files {
		spent, err := readSched(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread ended between the two calls
		}
		if err != nil {
			return 0, err
		}
		sum += spent
	}
	return sum, nil
}

// ThreadSchedTime returns the time on a CPU of one thread of any process.
func ThreadSchedTime(pid, tid int) (time.Duration, error) {
	return readSched(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid))
}

func readSched(file string) (time.Duration, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	onCPU, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(onCPU, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return time.Duration(ns), nil
}

// ReadSizes stores in bytes the values of those lines of a file that want names, such
// as "VmRSS:   1976 kB" of /proc/PID/status. What the file does not have stays as it is.
func ReadSizes(file string, want map[string]*int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		to, ok := want[name]
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		if kib, err := strconv.ParseInt(number, 10, 64); err == nil {
			*to = kib << 10
		}
	}
	return nil
}
