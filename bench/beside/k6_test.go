//go:build linux

package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wsify/bench/internal/process"
)

// needK6 returns k6. Only with E2E it is fetched for the tests.
func needK6(t *testing.T) *k6 {
	t.Helper()
	if testing.Short() {
		t.Skip("runs k6 for some seconds: left out with -short")
	}
	if os.Getenv("E2E") != "" {
		b := &bench{children: new(process.Children), stderr: os.Stderr}
		k, err := b.findK6(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	dir, err := filepath.Abs(toolsDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "k6"), "k6"} {
		if k := (&k6{path}); k.isVersion(context.Background(), k6Version) {
			return k
		}
	}
	t.Skipf("no k6 %s in %s or on the PATH: make bench-k6 gets it, and so does E2E=1", k6Version, toolsDir)
	return nil
}

func TestK6TakesTheScripts(t *testing.T) {
	k := needK6(t)
	for _, script := range k.scripts() {
		out, err := exec.Command(k.path, "inspect", filepath.Join("bench/k6", script+".js")).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

func TestK6RefusesSettingsThatMakeNoSense(t *testing.T) {
	k := needK6(t)
	for _, setting := range []string{"CONNECTIONS=0", "CONNECTIONS=1.5", "CONNECTIONS=many", "DURATION=soon", "RATE=-1", "SIZE=1"} {
		cmd := exec.Command(k.path, "inspect", "--include-system-env-vars", "bench/k6/broadcast.js")
		cmd.Env = append(os.Environ(), setting)
		name, _, _ := strings.Cut(setting, "=")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), name+" is ") {
			t.Errorf("%s: %v\n%s", setting, err, out)
		}
	}
}

func TestK6StandsBesideWSBench(t *testing.T) {
	k := needK6(t)
	needServer(t)
	t.Setenv("RAMP", "1s")
	code, table, stderr := beside("-k6", k.path, "-server", wsify, "-wsbench", as(t, "wsbench"),
		"-duration", "1s", "-connections", "20", "-rate", "10", "k6")
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, table, stderr)
	}
	for _, want := range []struct{ script, label, ours string }{
		{"connect", "handshakes", "-"},
		{"connect", "server CPU per handshake", "44.25"},
		{"join", "join to answer p99", "-"},
		{"broadcast", "due to delivered p99", "-"},
		{"broadcast", "server CPU per delivery", "-"},
		{"broadcast", "CPU of k6 per delivery", "-"},
	} {
		if got := cell(t, table, want.script, want.label); len(got) != 3 || got[1] == "-" || got[2] != want.ours {
			t.Errorf("%s, %s: %q, want k6's figure and then %s", want.script, want.label, got, want.ours)
		}
	}
	if !strings.Contains(table, "k6 itself used") {
		t.Errorf("nothing says what k6 costs itself:\n%s", table)
	}
	awaitGone(t, wsify)
}

func TestALatencyLimitIsTheUsers(t *testing.T) {
	k := needK6(t)
	needServer(t)
	t.Setenv("MAX_P50_MS", "0")
	code, out, stderr := beside("-k6", k.path, "-server", wsify, "-wsbench", "none", "-scripts", "connect", "-duration", "1s", "k6")
	if code != exitThreshold || !strings.Contains(out, "MISSED ws_connecting{status:101}: med<=0") {
		t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
	}
}

func TestK6SeesARefusal(t *testing.T) {
	k := needK6(t)
	code, out, stderr := beside("-k6", k.path, "-server", as(t, "refusing"), "-wsbench", "none", "-scripts", "connect", "-duration", "1s", "k6")
	if code != exitThreshold || !strings.Contains(out, "MISSED refused: count==0") {
		t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
	}
}

func TestK6SeesThatAMemberHeardNothing(t *testing.T) {
	k := needK6(t)
	needServer(t)
	authorizer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if question, err := io.ReadAll(r.Body); err != nil || strings.Contains(string(question), `"join"`) {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer authorizer.Close()
	t.Setenv("RAMP", "1s")
	code, out, stderr := beside("-k6", k.path, "-server", wsify, "-server-args", "-authorizer-url "+authorizer.URL, "-wsbench", "none",
		"-scripts", "broadcast", "-duration", "1s", "-connections", "3", "-rate", "10", "k6")
	if code != exitThreshold || !strings.Contains(out, "MISSED deliveries: count==60") || !strings.Contains(out, "MISSED missing: count==0") {
		t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
	}
}
