//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be what wsbench starts: a floor, or the server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch {
		case strings.HasSuffix(os.Args[1], engineConfig):
			os.Exit(runStandInEngine(os.Args[1:]))
		case os.Args[1] == "-p":
			os.Exit(runStandInTool(os.Args[1:]))
		case os.Args[1] == "-role":
			os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
		case os.Args[1] == "-listen-addr":
			os.Exit(runStandIn(os.Args[1:]))
		}
	}
	os.Exit(m.Run())
}

// smallBench is a bench whose scenarios take little time.
func smallBench(t *testing.T, args ...string) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	small := []string{"-server", self, "-connections", "40", "-rounds", "2", "-publications", "8", "-settle", "100ms",
		"-settle-min", "0", "-settle-max", "300ms", "-echo-connections", "5", "-echo-time", "50ms", "-handshakes", "50",
		"-concurrency", "8", "-burst-publications", "30", "-slow", "20", "-probes", "5", "-authorizer-time", "100ms", "-authorizer-rounds", "2",
		"-mesh-channels", "4", "-churn-waves", "2", "-paced-time", "100ms", "-delivery-rate", "2000", "-trip-rate", "500",
		"-authorizer-latencies", "0,10ms", "-http-connections", "5", "-http-time", "50ms", "-http-rate", "500", "-stuck-time", "200ms",
		"-stuck-rounds", "1", "-slowloris", "20", "-slowloris-time", "100ms", "-head-timeout", "300ms", "-talkers", "20", "-talk-time", "100ms",
		"-million-few", "10", "-million-publications", "2", "-million-idle", "100ms",
		"-redis-server", self, "-redis-benchmark", self, "-nats-server", "/nowhere/nats-server", "-nodes-connections", "20",
		"-nodes-publishers", "3", "-nodes-publish-time", "50ms", "-nodes-tool-publications", "96", "-nodes-fanout", "0,1,3",
		"-nodes-subscribers", "3", "-nodes-channels", "4", "-ping-time", "100ms"}
	all := append(small, args...)
	o, err := parseOptions(all, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBench(o, all, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.children.killAll)
	return b
}

func TestEveryScenarioMeasuresAServer(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it waits
			b := smallBench(t)
			b.record.scenario = s.name
			if err := s.run(b); err != nil {
				t.Fatal(err)
			}
			if len(b.record.Figures) == 0 {
				t.Error("it has no figures")
			}
			for _, f := range b.record.Figures {
				if len(f.Samples) == 0 {
					t.Errorf("%s has no samples", f.Name)
				}
			}
			if f := b.record.Figures[0]; s.name == "authorizer" && (f.Name != "others alone: p50" || len(f.Samples) != 4) {
				t.Errorf("%s has %d samples, want others alone, twice in each round", f.Name, len(f.Samples))
			}
			if n := b.children.Running(); n != 0 {
				t.Errorf("%d children are still running", n)
			}
		})
	}
}

func TestAFailingServerIsExplainedAndLeavesNoChild(t *testing.T) {
	for _, tt := range []struct{ name, args, scenario, want string }{
		{"that does not start", "-failing start", "idle", "the stand-in will not start"},
		{"that refuses the upgrade", "-failing upgrade", "idle", "403 Forbidden"},
		{"that dies of a publication", "-failing publish", "fanout", "the stand-in gives up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := smallBench(t, "-server-args", tt.args, "-run", tt.scenario)
			var out strings.Builder
			err := b.runAll(t.Context(), &out)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("runAll = %v, want it to say %q", err, tt.want)
			}
			if n := b.children.Running(); n != 0 {
				t.Errorf("%d children are still running", n)
			}
		})
	}
}

func TestTheCommandWritesItsRecordAndAnswersByExitCode(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.json")
	args := []string{"-server", self, "-run", "connect", "-rounds", "1", "-handshakes", "20", "-json", path}
	if code := run(args, io.Discard, os.Stderr); code != 0 {
		t.Fatalf("run = %d, want 0", code)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Machine.Cores == 0 || r.Machine.Kernel == "" || r.Machine.Files == 0 || r.Commit == "" || r.Date.IsZero() || len(r.Command) != len(args) {
		t.Errorf("the record does not say where it is from: %s", text)
	}
	if code := run(args, io.Discard, io.Discard); code != 1 {
		t.Errorf("run with a record that exists = %d, want 1", code)
	}
	if code := run([]string{"-server", "/nowhere/wsify", "-run", "idle"}, io.Discard, io.Discard); code != 1 {
		t.Errorf("run without a server = %d, want 1", code)
	}
	if code := run([]string{"-rounds", "none"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("run with a wrong flag = %d, want 2", code)
	}
}

func TestTheTimeoutEndsARunAndItsChildren(t *testing.T) {
	timeout := 2 * time.Second
	r := cutShort(t, timeout)
	for len(r.Figures) == 0 && timeout < time.Minute { // so slow a machine today
		timeout *= 2
		r = cutShort(t, timeout)
	}
	if len(r.Figures) == 0 || r.Figures[0].Scenario != "connect" {
		t.Errorf("figures %v, want those of the scenario that was over", r.Figures)
	}
}

// cutShort runs two scenarios, the second of which takes for ever, until the timeout.
func cutShort(t *testing.T, timeout time.Duration) *record {
	o := smallBench(t).options
	o.settle, o.settleMax, o.run, o.timeout = time.Hour, time.Hour, "connect,idle", timeout
	o.json = filepath.Join(t.TempDir(), "record.json")
	r := new(record)
	over := fmt.Sprintf("-timeout %v is over", timeout)
	err := measure(o, nil, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), over) {
		t.Errorf("measure = %v, want it to say that the timeout is over", err)
	}
	if left := childrenOf(t, pid()); len(left) != 0 {
		t.Errorf("processes %v are still running", left)
	}
	text, err := os.ReadFile(o.json)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Failures) != 1 || !strings.Contains(r.Failures[0], over) || r.Duration == "" {
		t.Errorf("failures %q after %q, want why the run was cut short", r.Failures, r.Duration)
	}
	return r
}

func TestNothingIsTakenOnceARunIsCutShort(t *testing.T) {
	r := &record{scenario: "idle"}
	r.add("a", "CPU", "us", "", 1)
	r.end("a signal")
	r.add("a", "rate", "1/s", "", 1)
	r.remark("a ended: signal: killed")
	r.fail("a ended")
	if len(r.Figures) != 1 || len(r.Notes) != 0 || len(r.Failures) != 1 || r.Failures[0] != "a signal" {
		t.Errorf("figures %v, notes %v, failures %v", r.Figures, r.Notes, r.Failures)
	}
}

func TestAServerThatWasNotBuiltIsNamedBeforeAnythingIsPrinted(t *testing.T) {
	var out, errs strings.Builder
	if code := run([]string{"-server", "/nowhere/wsify", "-quick"}, &out, &errs); code != 1 {
		t.Errorf("run = %d, want 1", code)
	}
	if out.Len() != 0 || !strings.Contains(errs.String(), "/nowhere/wsify") || !strings.Contains(errs.String(), "go build -o bin/ ./cmd/wsify") {
		t.Errorf("printed %q and %q, want only what to build", out.String(), errs.String())
	}
}

func TestATableWithoutFiguresIsNotPrinted(t *testing.T) {
	r := &record{scenario: "idle"}
	var out strings.Builder
	if r.print(&out, r.mark()); out.Len() != 0 {
		t.Errorf("printed %q, want nothing", out.String())
	}
	before := r.mark()
	r.remark("nobody came")
	if r.print(&out, before); strings.Contains(out.String(), "median") || !strings.Contains(out.String(), "note: nobody came") {
		t.Errorf("printed %q, want the note and no table", out.String())
	}
}

// childrenOf lists the running children of all threads of a process.
func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func TestTheBenchImportsNothingOfWhatItMeasures(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			own := strings.HasPrefix(path, "wsify/bench/internal/")
			if (path == "wsify" || strings.HasPrefix(path, "wsify/")) && !own {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
