package netpoll

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the tests, then checks that no goroutine or descriptor of theirs is
// left.
func TestMain(m *testing.M) {
	warmUp()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// warmUp makes the runtime open the descriptors it keeps for itself.
func warmUp() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		_ = ln.Close()
	}
}

func leaks(before map[string]string) int {
	runtime.GC() // closes what tests forgot; netpoll itself has no finalizers
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines left behind:", err)
		return 1
	}
	limit := time.Now().Add(patience)
	for left := opened(before); len(left) > 0; left = opened(before) {
		if time.Now().After(limit) {
			fmt.Fprintln(os.Stderr, "descriptors left behind:", left)
			return 1
		}
		runtime.Gosched()
	}
	return 0
}

// descriptors lists the open descriptors of this process, by number.
func descriptors() map[string]string {
	open := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // the descriptor of the directory itself is gone
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
