package doctor

import (
	"bytes"
	"context"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"wsify/internal/server"
)

func TestWhatTakesTooLongIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hang := make(chan struct{})
	defer close(hang)
	if got, ok := within(ctx, func() int { return 5 }); got != 5 || !ok {
		t.Errorf("in time: %d, %t", got, ok)
	}
	cancel()
	if got, ok := within(ctx, func() int { return 6 }); got != 6 || !ok {
		t.Errorf("in the time of grace: %d, %t", got, ok)
	}
	if got, ok := within(ctx, func() int { <-hang; return 7 }); got != 0 || ok {
		t.Errorf("it hangs: %d, %t", got, ok)
	}
}

// What is not in a file: GOMEMLIMIT, a pod's environment, and the addresses.
func TestWhatTheProcessKnows(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(123 << 20))
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	f := Read(t.Context(), valid(t, server.Config{ListenAddrs: []string{"fd://3"}}), files(nil))
	if f.GoLimit != 123<<20 || f.Place != Pod || f.Cores < 1 || f.PageSize < 4096 || f.Now.IsZero() || f.Authorizer != nil || f.Broker != nil || f.BrokerErr != nil ||
		len(f.Listeners) != 1 || f.Listeners[0].State != Passed {
		t.Errorf("%+v", f)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if f := Read(t.Context(), valid(t, server.Config{ListenAddrs: []string{"fd://3"}}), files(nil)); f.GoLimit != 0 {
		t.Errorf("without GOMEMLIMIT: %d", f.GoLimit)
	}
}

func TestAReportOfNothingSaysSo(t *testing.T) {
	f := facts(t, nil)
	var text bytes.Buffer
	if err := Examine(&Facts{Config: f.Config, Cores: 4}, asked).WriteText(&text, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"No limit could be read, so this does not say what the machine can hold.\n", "Not to be seen from here: the limit of descriptors, fs.nr_open, "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, text.String())
		}
	}
}
