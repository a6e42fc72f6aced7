//go:build linux

package main

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAStampSurvivesItsJSON(t *testing.T) {
	for _, instant := range []int64{0, 1, now(), 1<<56 - 1} {
		content := text(stampedMin)
		putStamp(content, instant)
		if got := readStamp(content[:stampSize]); got != instant {
			t.Errorf("the stamp of %d in %s reads %d", instant, content, got)
		}
		if content[0] != '"' || content[len(content)-1] != '"' {
			t.Errorf("%s is no JSON string any more", content)
		}
	}
}

func TestNowIsTheClockOfTheSystem(t *testing.T) {
	before, got, after := monotonic(), now(), monotonic()
	const slack = int64(time.Millisecond)
	if got < before-slack || got > after+slack {
		t.Errorf("now = %d, want between %d and %d", got, before, after)
	}
}

func TestClocksAreComparedAgainWhenTheThreadWasPutAside(t *testing.T) {
	calls := 0
	epoch, origin := oneInstant(func() int64 {
		if calls++; calls == 1 {
			<-time.After(5 * time.Millisecond)
			return 0 // long before the middle of the two looks
		}
		return monotonic()
	})
	if calls < 2 {
		t.Fatalf("the clocks were read %d times, want again after a bad reading", calls)
	}
	const slack = int64(time.Millisecond)
	if off := origin + int64(time.Since(epoch)) - monotonic(); off > slack || off < -slack {
		t.Errorf("the clocks differ by %d ns", off)
	}
}

func TestAPacingThreadIsWokenInTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slack := func() int {
		n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before, while := slack(), 0
	if err := pace(time.Millisecond, time.Millisecond, func(int, int64) error { while = slack(); return nil }); err != nil {
		t.Fatal(err)
	}
	if while != 1 || slack() != before {
		t.Errorf("the timer slack was %d ns while pacing, want 1, and %d afterwards, want %d", while, slack(), before)
	}
}

// stallingServer answers nothing until stall has passed since the first request,
// then everything.
func stallingServer(t *testing.T, size int, stall time.Duration) (port int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request := make([]byte, size)
		for first := true; ; first = false {
			if _, err := conn.Read(request); err != nil {
				return
			}
			if first {
				<-time.After(stall)
			}
			if _, err := conn.Write(floorFrame(serverFrameSize(echoContent))); err != nil {
				return
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func TestAStallIsChargedToEveryRoundTripThatWasDue(t *testing.T) {
	const stall, length, rate = 200 * time.Millisecond, 200 * time.Millisecond, 500
	request := echoRequest(wsifyDialect)
	port := stallingServer(t, len(request(0)), stall)
	x, err := openExchange(plan{size: 1, threads: 1, target: target{port: port}, sources: newSources(), request: request}, echoContent)
	if err != nil {
		t.Fatal(err)
	}
	defer x.crowd.close()
	took, err := x.pacedTrips(rate, length)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(rate * length.Seconds()); took.count() != want {
		t.Errorf("%d round trips were counted, want all %d that were due", took.count(), want)
	}
	// Counted from when it was sent, all but one would be below a millisecond.
	if half := took.us(0.5); half < 50_000 {
		t.Errorf("half of the round trips took less than %v us, want the stall in them", half)
	}
}

func TestAPacedPublicationIsDatedWhenItWasDue(t *testing.T) {
	var instants []int64
	start := now()
	err := pace(time.Millisecond, 5*time.Millisecond, func(_ int, instant int64) error {
		instants = append(instants, instant)
		return nil
	})
	if err != nil || len(instants) != 5 {
		t.Fatalf("pace = %v with %d calls, want 5", err, len(instants))
	}
	for i, instant := range instants {
		if due := instants[0] + int64(i)*int64(time.Millisecond); instant != due || instant < start {
			t.Errorf("call %d is dated %d, want %d", i, instant, due)
		}
	}
}
