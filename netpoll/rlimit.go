package netpoll

import (
	"os"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises this process' soft RLIMIT_NOFILE to the hard limit and
// returns the soft limit before and after. Every connection is a descriptor, so
// this is the first bound on how many a process can hold (getrlimit(2)).
func RaiseFileLimit() (before, after uint64, err error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, 0, os.NewSyscallError("getrlimit", err)
	}
	before = lim.Cur
	if lim.Cur == lim.Max {
		return before, before, nil
	}
	lim.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return before, before, os.NewSyscallError("setrlimit", err)
	}
	return before, lim.Cur, nil
}
