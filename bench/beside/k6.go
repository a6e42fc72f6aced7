//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	k6Module  = "go.k6.io/k6"
	k6Version = "v1.8.1"
	toolsDir  = "bin/tools"
)

// errThreshold is that k6 ended with the code that says so.
var errThreshold = errors.New("a threshold of k6 was missed")

// k6 runs the scripts in bench/k6.
type k6 struct{ path string }

// findK6 returns -k6, or bin/tools/k6 after fetching it when it is not there in
// the right version.
func (b *bench) findK6(ctx context.Context) (*k6, error) {
	if b.k6 != "" {
		return &k6{b.k6}, nil
	}
	dir, err := filepath.Abs(toolsDir)
	if err != nil {
		return nil, err
	}
	k := &k6{filepath.Join(dir, "k6")}
	if k.isVersion(ctx, k6Version) {
		return k, nil
	}
	fmt.Fprintf(b.stderr, "k6: go install %s@%s into %s; this takes a minute or two, once\n", k6Module, k6Version, toolsDir)
	install := exec.Command("go", "install", k6Module+"@"+k6Version)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if _, err := b.children.Run(ctx, 10*time.Minute, install); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *k6) isVersion(ctx context.Context, version string) bool {
	out, err := exec.CommandContext(ctx, k.path, "version").Output()
	fields := strings.Fields(string(out)) // k6 v1.8.1 (go1.26, linux/amd64)
	return err == nil && len(fields) > 1 && fields[1] == version
}

func (*k6) name() string      { return "k6" }
func (*k6) scripts() []string { return []string{"connect", "join", "broadcast"} }

// k6Summary is what bench/k6/lib/report.js writes, as far as it is needed here.
type k6Summary struct {
	Figures []struct {
		Name  string
		Unit  string
		Value float64
	}
}

func (k *k6) run(ctx context.Context, b *bench, script string, s *server) (result, error) {
	file := filepath.Join(b.scratch, script+".json")
	// Without an address for its own API: another k6 may have the usual one.
	cmd := exec.Command(k.path, "run", "--quiet", "--no-usage-report", "--address", "", filepath.Join("bench/k6", script+".js"))
	cmd.Env = append(os.Environ(), b.k6Load(script, s.addr, file)...)
	cmd.Stdout, cmd.Stderr = b.stdout, b.stderr
	cpu, err := b.children.Run(ctx, b.duration+2*time.Minute, cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitThreshold {
		err = errThreshold
	} else if err != nil {
		return result{}, err
	}
	figures, readErr := readK6(file)
	return result{figures: figures, toolCPU: cpu}, errors.Join(err, readErr)
}

// k6Load is the load as the scripts' variables. connect and join have connections
// come one after another, so -connections is the number in all for join, and
// connect is as fast as k6 is asked to be: ten times -rate.
func (b *bench) k6Load(script, addr, summary string) []string {
	load := map[string]string{
		"WS_URL":      "ws://" + addr + "/ws",
		"SUMMARY":     summary,
		"CONNECTIONS": strconv.Itoa(b.connections),
		"SIZE":        strconv.Itoa(b.size),
		"DURATION":    fmt.Sprintf("%dms", b.duration.Milliseconds()),
		"RATE":        strconv.FormatFloat(b.rate, 'f', -1, 64),
	}
	if script == "connect" {
		load["RATE"] = strconv.FormatFloat(10*b.rate, 'f', -1, 64)
	}
	var env []string
	for name, value := range load {
		env = append(env, name+"="+value)
	}
	return env
}

func readK6(file string) (map[string]float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s k6Summary
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	figures := make(map[string]float64)
	for _, f := range s.Figures {
		figures[strings.TrimSpace(f.Name)+" ["+f.Unit+"]"] = f.Value
	}
	return figures, nil
}

func (*k6) rows(int) []row {
	rows := []row{
		{"connect", "handshakes", "1/s", figure("handshakes [1/s]", 1), oursHandshakeRate},
		{"connect", "handshake p50", "us", figure("handshake p50 [ms]", 1000), nil},
		{"connect", "handshake p99", "us", figure("handshake p99 [ms]", 1000), nil},
		{"connect", "server CPU per handshake", "us", serverCPUPer("handshakes [total]"), oursHandshakeCPU},
		{"connect", "CPU of k6 per handshake", "us", toolCPUPer("handshakes [total]"), nil},
		{"join", "joined", "1/s", figure("joined [1/s]", 1), oursStorm("rate", "joined/s")},
	}
	for _, p := range []string{"p50", "p99", "p99.9", "max"} {
		rows = append(rows, row{"join", "join to answer " + p, "us", figure("join to answer "+p+" [ms]", 1000), oursStorm(p, "us")})
	}
	for _, p := range []string{"p50", "p99", "p99.9", "max"} {
		rows = append(rows, row{"broadcast", "due to delivered " + p, "us", figure("due to delivered "+p+" [ms]", 1000),
			[]origin{{"fanout", "paced: " + p, "us"}}})
	}
	return append(rows,
		row{"broadcast", "server CPU per delivery", "us", serverCPUPer("deliveries [total]"), oursDeliveryCPU},
		row{"broadcast", "CPU of k6 per delivery", "us", toolCPUPer("deliveries [total]"), nil})
}

func (*k6) notes(results map[string]result) []string {
	notes := []string{"server CPU under k6 is that of the whole script: joins, pings and waking up are in it."}
	if _, ok := results["join"]; ok {
		notes = append(notes, "wsbench's storm is timed from the connect to the answer, everybody at once; k6's join from the open connection.")
	}
	r, ok := results["broadcast"]
	if !ok {
		return notes
	}
	cost := fmt.Sprintf("broadcast: k6 itself used %.2f s of CPU in %.1f s, the server %.2f s", r.toolCPU.Seconds(), r.took.Seconds(), r.serverCPU.Seconds())
	if r.toolCPU > r.serverCPU {
		cost += fmt.Sprintf(": k6 is the bottleneck, by %.1f to 1. With more load it is the first at its limit, and rates and latencies are then its own",
			r.toolCPU.Seconds()/r.serverCPU.Seconds())
	}
	return append(notes, cost+".")
}
