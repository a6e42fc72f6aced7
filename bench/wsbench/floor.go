//go:build linux

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// roleOptions make a process of this program a floor or an agent instead of a generator.
type roleOptions struct {
	role string
	n    int // connections, where the role needs to know
	in   int // bytes of a request
	out  int // bytes of an answer or delivery

	threads int // of a floor-echo; the others have one. In the generator, of its second floor
}

func (o *roleOptions) register(set *flag.FlagSet) {
	set.StringVar(&o.role, "role", "", "be a part of this program: floor-send, floor-echo, floor-accept or crowd (started by itself)")
	set.IntVar(&o.n, "floor-n", 0, "floor-send: connections to accept")
	set.IntVar(&o.in, "floor-in", 0, "floor-echo: bytes of a request")
	set.IntVar(&o.out, "floor-out", 0, "bytes of an answer or delivery")
	set.IntVar(&o.threads, "floor-threads", runtime.NumCPU(), "echo: threads of the second floor, beside that of one: as many as the server has loops; 1: no second")
}

// maxFloorBytes bounds what a role is asked for.
const maxFloorBytes = 1 << 20

// roleCrowd is the role of an agent.
const roleCrowd = "crowd"

// runRole is an agent, or a floor: that prints its port, serves on one thread, and
// ends when its standard input does.
func runRole(o roleOptions) error {
	if o.role == roleCrowd {
		return runAgent()
	}
	roles := map[string]func(listener int, o roleOptions) error{
		"floor-send":   sendFloor,
		"floor-echo":   echoFloor,
		"floor-accept": acceptFloor,
	}
	serve, ok := roles[o.role]
	if !ok || o.n < 0 || o.in < 0 || o.out < 2 || o.threads < 1 || o.threads > 64 || o.in > maxFloorBytes || o.out > maxFloorBytes {
		return fmt.Errorf("-role %s -floor-n %d -floor-in %d -floor-out %d: not a role of this program", o.role, o.n, o.in, o.out)
	}
	// A floor makes system calls past the scheduler: no collection may wait for
	// it to yield. It allocates nothing once it serves.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	listener, port, err := listenLoopback()
	if err != nil {
		return err
	}
	fmt.Println(port)
	return serve(listener, o)
}

// listenLoopback returns a listening descriptor and its port.
func listenLoopback() (fd, port int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, 0, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return -1, 0, os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, os.NewSyscallError("getsockname", err)
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

// endWithInput ends the process when its standard input does: the generator has gone.
func endWithInput() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// floor is the generator's side of a floor's process.
type floor struct {
	*child
	port  int
	input io.WriteCloser
	said  *bufio.Reader // what it prints, line by line
}

func (f *floor) target() target { return target{port: f.port} }

// startFloor starts this program again in a role.
func (b *bench) startFloor(o roleOptions) (*floor, error) {
	cmd := exec.Command(b.self, "-role", o.role, "-floor-n", strconv.Itoa(o.n),
		"-floor-in", strconv.Itoa(o.in), "-floor-out", strconv.Itoa(o.out), "-floor-threads", strconv.Itoa(max(o.threads, 1)))
	// Signals that ask a thread to yield would only interrupt the system calls.
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	c, input, said, err := b.startPiped(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.role, err)
	}
	f := &floor{child: c, input: input, said: said}
	line, err := f.line()
	if err == nil {
		f.port, err = strconv.Atoi(line)
	}
	if err != nil {
		err = f.failure(fmt.Errorf("start %s: %w", o.role, err))
		f.kill()
		return nil, err
	}
	return f, nil
}

// startPiped starts a child that is told what to do on its standard input, and
// answers on its standard output.
func (b *bench) startPiped(cmd *exec.Cmd) (c *child, input io.WriteCloser, said *bufio.Reader, err error) {
	if input, err = cmd.StdinPipe(); err != nil {
		return nil, nil, nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	c, err = b.children.start(cmd)
	return c, input, bufio.NewReader(output), err
}

// line returns the next line the floor prints.
func (f *floor) line() (string, error) {
	line, err := f.said.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(line, "\n"), err
}

// publish makes the floor send to all its connections n times, each time one
// delivery to each. There is one door.
func (f *floor) publish(_, n int) error {
	_, err := f.input.Write(make([]byte, n))
	return err
}

func (f *floor) collect() error { return nil }
func (f *floor) close()         {}
