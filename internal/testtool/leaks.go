package testtool

import (
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, then checks that no goroutine and no descriptor of theirs is
// left. A goroutine with one of the ignored functions may stay. Up to 8 tests run in parallel: they
// mostly wait, whatever the number of cores.
func Main(m *testing.M, ignored ...string) { os.Exit(Run(m, ignored...)) }

// Run is Main for a package that has to clean up: it returns the exit code.
func Run(m *testing.M, ignored ...string) int {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // the runtime opens the descriptors that it keeps
		_ = ln.Close()
	}
	before := Descriptors()
	if code := m.Run(); code != 0 {
		return code
	}
	options := make([]goleak.Option, len(ignored))
	for i, function := range ignored {
		options[i] = goleak.IgnoreAnyFunction(function)
	}
	// Idle connections to an authorizer, and the goroutine that watches them, take some seconds to end.
	for end := time.Now().Add(Patience); ; {
		err, left := goleak.Find(options...), Opened(before) // Find takes up to a second
		if err == nil && len(left) == 0 {
			return 0
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "left behind: goroutines:", err, "descriptors:", left)
			return 1
		}
	}
}

// Descriptors lists the open descriptors of this process, by number.
func Descriptors() map[string]string {
	open := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "/proc/") { // not the descriptor of the directory itself
			open[e.Name()] = target
		}
	}
	return open
}

// Opened lists the descriptors that are open now and were not before.
func Opened(before map[string]string) map[string]string {
	now := Descriptors()
	maps.DeleteFunc(now, func(number, _ string) bool { return before[number] != "" })
	return now
}

// Heap returns the bytes of live objects. The second of two collections empties the pools.
func Heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
