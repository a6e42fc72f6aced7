package session

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the tests, then checks that every goroutine and every descriptor
// they made is gone.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil { // most of them wait, so more than the number of cores can run
		panic(err)
	}
	warmUp()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// warmUp makes the runtime open the descriptors that it keeps.
func warmUp() {
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = ln.Close()
	}
}

// leaks reports goroutines and descriptors that the tests leaked, and returns the exit
// code. Idle connections to an authorizer, and the goroutine that watches them, take
// some seconds to end, so it checks again until patience is over.
func leaks(before map[string]string) int {
	limit := time.Now().Add(patience)
	for {
		err := goleak.Find()
		fds := opened(before)
		switch {
		case err == nil && len(fds) == 0:
			return 0
		case time.Now().After(limit):
			fmt.Fprintln(os.Stderr, "leaked goroutines:", err, "descriptors:", fds)
			return 1
		}
	}
}

// descriptors lists the open descriptors of this process, by number.
func descriptors() map[string]string {
	open := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "/proc/") { // not the directory's own
			open[e.Name()] = target
		}
	}
	return open
}

// opened lists the descriptors that are open now and were not before.
func opened(before map[string]string) map[string]string {
	now := descriptors()
	for number := range before {
		delete(now, number)
	}
	return now
}
