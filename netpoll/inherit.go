package netpoll

import (
	"errors"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// fdPrefix marks an address as the number of an inherited descriptor.
const fdPrefix = "fd://"

// firstInherited is the first descriptor that may be passed to a program;
// sd_listen_fds(3). The ones before it are its standard input, output and error.
const firstInherited = 3

// inherit returns the listener behind a descriptor that this process was started with,
// and takes the descriptor. A descriptor that is no listening stream socket is left as
// it is, because it may be in use by something else. One that closes on exec was opened
// by this process itself, as Go opens all of them so.
func inherit(number string) (net.Listener, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstInherited {
		return nil, errors.New("this is not the number of an inherited descriptor, which is 3 or higher")
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, errors.New("no descriptor of this number was passed to this process")
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || listens == 0 || kind != unix.SOCK_STREAM {
		return nil, errors.New("this descriptor is not a listening stream socket")
	}
	f := os.NewFile(uintptr(fd), fdPrefix+number)
	defer f.Close() // package net has a duplicate
	return net.FileListener(f)
}
