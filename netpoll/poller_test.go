package netpoll

import (
	"os"
	"os/exec"
	"testing"
)

// TestEveryPoller runs the tests of this package on the poller that is not the
// default, in a process of their own.
func TestEveryPoller(t *testing.T) {
	if pollerUnderTest != "" {
		t.Skip("already running on " + string(pollerUnderTest))
	}
	if testing.Short() {
		t.Skip("-short: only the default poller is tested")
	}
	cmd := exec.Command(os.Args[0], "-test.short", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "WSIFY_TEST_POLLER="+string(PollerEasygo))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("on %s: %v\n%s", PollerEasygo, err, out)
	}
}

func TestAnUnknownPollerIsRefused(t *testing.T) {
	g, err := Open(Config{Poller: "kqueue"}, func(*Loop) Handler { return echo() })
	if err == nil {
		_ = g.Stop()
		t.Fatal("Open with an unknown poller succeeds")
	}
}
