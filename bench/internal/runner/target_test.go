package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
)

// against is a configuration of one scenario of wsbench on a target.
func against(t *testing.T, name, addr string) Config {
	t.Helper()
	i := slices.IndexFunc(scenario.All, func(s *scenario.Scenario) bool { return s.Name == name })
	cfg := config(scenario.All[i])
	cfg.Target = &swarm.Target{Addr: addr, Host: addr, Path: "/chat"}
	cfg.Sizes.Rate, cfg.Sizes.Content = 1000, 100
	return cfg
}

func TestWhatIsWrongWithATargetIsToldOnceAndAtOnce(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for server, want := range map[*httptest.Server]string{web: "upgrade: status 404; is its URL right? wsify has the port 3000 and the path /ws", closed: "connection refused; is its URL right?"} {
		addr := server.Listener.Addr().String()
		r, err := Run(t.Context(), against(t, "echo", addr))
		if r != nil || err == nil || !strings.Contains(err.Error(), "the target at "+addr) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v; want %q", r, err, want)
		}
	}
}

// told is a log that tells of what is written to it.
type told chan string

func (c told) Write(p []byte) (int, error) { c <- string(p); return len(p), nil }

func TestATargetThatNeverAnswersIsToldOfAndCanBeLeft(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // the kernel accepts, and nobody answers
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg, log := against(t, "echo", ln.Addr().String()), make(told, 10)
	cfg.Log = log
	failed := make(chan error, 1)
	go func() {
		_, err := Run(ctx, cfg)
		failed <- err
	}()
	select {
	case text := <-log:
		if !strings.Contains(text, "1 connections (a first try) are still opening; they are given up when none opens for 20 s") {
			t.Errorf("it said %q", text)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it said nothing")
	}
	cancel(errors.New("ctrl-C"))
	if err := <-failed; fmt.Sprint(err) != "interrupted: ctrl-C" {
		t.Errorf("it ended with %v", err)
	}
}

func TestRequestsThatATargetRefusesAreToldWithTheirStatus(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/chat" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			if _, err := wsutil.ReadClientText(conn); err != nil {
				return
			}
			_ = wsutil.WriteServerText(conn, []byte(`{"id":1,"ok":true}`))
		}
	}))
	defer target.Close()
	r, err := Run(t.Context(), against(t, "http", target.Listener.Addr().String()))
	want := "requests were refused, with status 403; -key is the broadcasting key of a target"
	if err != nil || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], want) {
		t.Errorf("%v, %+v; want %q", err, r, want)
	}
}

func TestAPageWithoutMetricsIsNoMetrics(t *testing.T) {
	t.Parallel()
	var page string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
	defer web.Close()
	r := &Runner{Config: Config{Metrics: web.URL}}
	if _, err := r.fromMetrics(); err == nil || !strings.Contains(err.Error(), "there are no metrics") {
		t.Errorf("an empty page: %v", err)
	}
	page = "<p>\nconst x = 7\n{ 7\n"
	if _, err := r.fromMetrics(); err == nil || !strings.Contains(err.Error(), "there are no metrics") {
		t.Errorf("a page of HTML: %v", err)
	}
	page = "other_total{a=\"b c\"} 7 1700000000\n"
	if _, err := r.fromMetrics(); !errors.Is(err, scenario.ErrNoUsage) {
		t.Errorf("metrics without CPU: %v", err)
	}
	page += "process_cpu_seconds_total 1.5\n"
	if used, err := r.fromMetrics(); err != nil || used != 1500*time.Millisecond {
		t.Errorf("%v, %v", used, err)
	}
}
