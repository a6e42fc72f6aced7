package session

import (
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// Loops wait for nothing but epoll (I2), even if the authorizer and the engine hang and
// the pool is full. The test inspects their goroutines during round trips.
func TestALoopWaitsForNothingButEpoll(t *testing.T) {
	hook := newWebhook(t, nil)
	defer hook.hold(is("leave"))()
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{
		AuthorizerURL: hook.URL, AuthorizerEvents: []string{"leave"}, AuthorizerTimeout: patience, Workers: 1, Queue: 1,
	}, b)
	b.fill(0)
	for i, command := range []string{"leave", "join", "broadcast"} {
		for range 5 {
			connect(t, srv, "/ws").send(`{"command":"` + command + `","args":{"channel":"c"}}`)
		}
		awaitParked(t, srv, 5*(i+1))
	}
	p := connect(t, srv, "/ws")
	for range 500 {
		p.write(masked(0x80|opPing, ""))
		if loops := checkLoops(t); loops < len(srv.loops) {
			t.Fatalf("%d goroutines of loops, want %d", loops, len(srv.loops))
		}
		p.expect(opPong, "")
	}
}

// waits matches the trace of a goroutine that waits, except for a lock. Locks are held
// for moments only (ARCHITECTURE.md, section 7).
var waits = regexp.MustCompile(`^goroutine \d+.* \[(chan|select|sleep|IO wait|sync\.Cond|sync\.WaitGroup|semacquire)`)

func checkLoops(t *testing.T) (loops int) {
	t.Helper()
	trace := make([]byte, 1<<20)
	trace = trace[:runtime.Stack(trace, true)]
	for goroutine := range strings.SplitSeq(string(trace), "\n\n") {
		if strings.Contains(goroutine, "netpoll.(*nativePoller).run(") {
			loops++
			if waits.MatchString(goroutine) {
				t.Errorf("a loop waits for something other than epoll:\n%s", goroutine)
			}
		}
	}
	return loops
}
