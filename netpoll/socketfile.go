package netpoll

import (
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// socketFile is the file of a unix socket that this process has bound. Another process
// may have removed it since, and have bound its own socket to the path.
type socketFile struct {
	path  string
	bound os.FileInfo // nil if it was gone at once
}

func newSocketFile(path string) *socketFile {
	bound, _ := os.Lstat(path)
	return &socketFile{path, bound}
}

// remove removes the file if it is still this socket's. Call it while the socket is open:
// until then no other file gets its inode.
func (f *socketFile) remove() {
	if f == nil {
		return
	}
	if now, err := os.Lstat(f.path); err == nil && os.SameFile(now, f.bound) {
		_ = os.Remove(f.path)
	}
}

// fileListener is a listener that removes the file of its socket at the first Close.
type fileListener struct {
	net.Listener
	file *socketFile
	once sync.Once
}

func (l *fileListener) Close() error {
	l.once.Do(l.file.remove)
	return l.Listener.Close()
}

// removeStale removes a unix socket without a listener. Only a refusal proves that
// there is none: a server with a full queue, for example, answers EAGAIN.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return unix.EADDRINUSE
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE):
		return unix.EADDRINUSE
	default:
		return err
	}
}
