package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// childVariable makes this test binary a server with these limits, in JSON, which reads commands
// from standard input.
const childVariable = "WSIFY_TEST_CHILD"

// limits are the limits and settings of a server in a separate process.
type limits struct {
	Descriptors uint64
	Authorizer  string        // its URL
	Timeout     time.Duration // of the authorizer
	Workers     int
	Redis       string // a DSN
	Memory      string // the directory of the control group that the server moves to; empty: none
}

// limited is a server in a separate process, so that its lack of resources affects nothing else.
type limited struct {
	*testtool.Child
	t           *testing.T
	addr, admin net.Addr
}

func startLimited(t *testing.T, with limits) *limited {
	t.Helper()
	value, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	s := &limited{Child: testtool.StartChild(t, "TestServerInAProcessOfItsOwn", childVariable, string(value), 4*patience), t: t}
	for _, at := range []*net.Addr{&s.addr, &s.admin} {
		if *at, err = net.ResolveTCPAddr("tcp", s.Line()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// hoard makes the server take every remaining descriptor, or release them.
func (s *limited) hoard() {
	s.t.Helper()
	s.Say("hoard")
	s.Line()
}

// log returns the server's log, from level debug on.
func (s *limited) log() string {
	s.t.Helper()
	s.Say("log")
	log, err := strconv.Unquote(s.Line())
	if err != nil {
		s.t.Fatal(err)
	}
	return log
}

// TestServerInAProcessOfItsOwn is not a test but the server of tests that need a process with other
// limits.
func TestServerInAProcessOfItsOwn(t *testing.T) {
	var with limits
	if json.Unmarshal([]byte(os.Getenv(childVariable)), &with) != nil {
		t.Skip("it is started by other tests, with " + childVariable)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: with.Descriptors, Max: with.Descriptors}); err != nil {
		t.Fatal(err)
	}
	if with.Memory != "" {
		enterGroup(t, with.Memory)
	}
	var log testtool.Log
	cfg := Config{
		ListenAddrs: []string{"127.0.0.1:0"}, AdminAddr: "127.0.0.1:0", Loops: 2, Workers: with.Workers, Logger: log.Logger(),
		AuthorizerURL: with.Authorizer, AuthorizerTimeout: with.Timeout, AuthorizerEvents: []string{"join"},
	}
	if with.Memory != "" {
		cfg.BroadcastingKey, cfg.WriteQueueSize, cfg.MaxWriteMemory = "k", maxSize, memoryLimit()
	}
	if with.Redis != "" {
		cfg.BrokerDriver, cfg.BrokerDSN = "redis", with.Redis
	}
	srv, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(srv.Addr())
	fmt.Println(srv.AdminAddr())
	var held []int
	var ballast [][]byte
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "hoard":
			held = hoardDescriptors(held)
			fmt.Println(len(held))
		case "ballast":
			ballast = append(ballast, bytes.Repeat([]byte{1}, 1<<20))
			fmt.Println(len(ballast))
		case "log":
			fmt.Printf("%q\n", log.String())
		}
	}
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
}

// hoardDescriptors takes every remaining descriptor, or releases those in held.
func hoardDescriptors(held []int) []int {
	for _, fd := range held {
		_ = unix.Close(fd)
	}
	for len(held) == 0 {
		for {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return held
			}
			held = append(held, fd)
		}
	}
	return nil
}
