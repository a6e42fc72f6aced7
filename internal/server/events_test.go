package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/internal/testtool"
)

// The webhook for events is trusted by the authority of the authorizer, and has TLS also where the
// authorizer has not.
func TestEventsOverTLS(t *testing.T) {
	bodies := make(chan string, 10)
	hook, ca := startTLS(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	})
	srv := startWithAdmin(t, Config{Events: []string{"disconnect"}, EventsURL: hook.URL, AuthorizerCA: ca})
	_ = connect(t, srv.Addr()).Close()
	if body := <-bodies; !strings.Contains(body, `"event":"disconnect"`) {
		t.Errorf("got %s", body)
	}
	testtool.Until(t, "it is counted", func() bool { return samples(t, srv)[`events_total{event="disconnect"}`] == 1 })
	all := samples(t, srv)
	for _, name := range []string{`events_total{event="kicked"}`, `events_dropped_total{reason="queue_full"}`, `events_dropped_total{reason="refused"}`,
		`events_dropped_total{reason="no_answer"}`, `events_dropped_total{reason="shutdown"}`, "events_waiting"} {
		if n, ok := all[name]; !ok || n != 0 {
			t.Errorf("%s is %v, %v; want 0", name, n, ok)
		}
	}
}

// Without a URL of their own, events go to the authorizer. The shutdown waits for the last ones.
func TestEventsGoToTheAuthorizerByDefault(t *testing.T) {
	var ends atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		ends.Add(int32(strings.Count(string(body), `"code":1012,"reason":"shutdown"`)))
	}))
	defer hook.Close()
	srv, _ := startLogged(t, Config{Events: []string{"disconnect"}, AuthorizerURL: hook.URL})
	c := connect(t, srv.Addr())
	go func() {
		for {
			if _, err := c.heard(); err != nil { // the Close frame
				_ = c.Close()
				return
			}
		}
	}()
	if err := srv.Shutdown(); err != nil || ends.Load() != 1 {
		t.Errorf("%v; %d ends were told, want 1", err, ends.Load())
	}
}

// One descriptor more is kept for the POST under way.
func TestEventsHaveADescriptorOfTheirOwn(t *testing.T) {
	var plain, with Config
	with.Events, with.EventsURL = []string{"disconnect"}, "http://a"
	for _, c := range []*Config{&plain, &with} {
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := firstOf(plain.Keeps(1<<20)), firstOf(with.Keeps(1<<20)); b != a+1 {
		t.Errorf("%d descriptors are kept without events, %d with them", a, b)
	}
}

func firstOf(kept, _ uint64) uint64 { return kept }
