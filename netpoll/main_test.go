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

// TestMain runs the tests and then asks whether every goroutine and every
// descriptor they made is gone.
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
	runtime.GC() // closes what was forgotten in tests, not in netpoll: it has no finalizers
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

// descriptors lists what this process has open, by number.
func descriptors() map[string]string {
	open := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // not the directory's own
			open[e.Name()] = target
		}
	}
	return open
}

// opened lists what is open now and was not before.
func opened(before map[string]string) map[string]string {
	now := descriptors()
	for number := range before {
		delete(now, number)
	}
	return now
}
