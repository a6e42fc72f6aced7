package logs

import (
	"os"
	"syscall"
)

// Stderr returns the file for the log. When standard error is a pipe, Stderr replaces descriptor 2
// by one that does not block. So other output to it, such as the trace of a crash, cannot wait for
// a reader that has stopped: what does not fit is lost. It opens the pipe anew, because O_NONBLOCK
// would otherwise apply to every process that shares the descriptor.
//
// If that is not possible (another user's pipe, a socket), it returns os.Stderr.
func Stderr() *os.File {
	var stat syscall.Stat_t
	if err := syscall.Fstat(2, &stat); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return os.Stderr
	}
	fd, err := syscall.Open("/proc/self/fd/2", syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return os.Stderr
	}
	if err := syscall.Dup3(fd, 2, 0); err != nil {
		_ = syscall.Close(fd)
		return os.Stderr
	}
	return os.NewFile(uintptr(fd), "/dev/stderr")
}
