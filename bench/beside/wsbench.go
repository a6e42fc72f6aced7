//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a record has what both tools measure.
var (
	oursHandshakeRate = []origin{{"connect", "rate, connect, upgrade, close", "handshakes/s"}}
	oursHandshakeCPU  = []origin{{"connect", "CPU, connect, upgrade, close", "CPU us per handshake"}}
	oursDeliveryCPU   = []origin{{"fanout", "CPU, window 1", "CPU us per delivery"}}
)

// record is a record of wsbench, as far as it is needed here.
type record struct {
	Figures []struct {
		Scenario string
		Server   string
		Name     string
		Unit     string
		X        *float64
		Median   float64
	}
}

// runWSBench runs our own generator on the same server with the same load. It
// returns nil when -wsbench is none.
func (b *bench) runWSBench(ctx context.Context) (*record, error) {
	if b.wsbench == "none" {
		return nil, nil
	}
	program, err := b.buildWSBench(ctx)
	if err != nil {
		return nil, fmt.Errorf("wsbench: %w", err)
	}
	file := filepath.Join(b.scratch, "wsbench.json")
	args := append([]string{
		"-server", b.server, "-server-args", b.serverArgs, "-json", file, "-run", b.ourScenarios(),
		"-connections", strconv.Itoa(b.connections), "-content", strconv.Itoa(b.size),
	}, strings.Fields(b.wsbenchArgs)...)
	fmt.Fprintf(b.stderr, "wsbench %s\n", strings.Join(args, " "))
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = b.stderr, b.stderr
	_, err = b.children.run(ctx, b.timeout, cmd)
	if err != nil {
		err = fmt.Errorf("wsbench: %w", err)
	}
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		return nil, err
	}
	r := new(record)
	if jsonErr := json.Unmarshal(text, r); jsonErr != nil {
		return nil, fmt.Errorf("the record of wsbench: %w", jsonErr)
	}
	return r, err // a scenario that failed leaves the figures of others
}

// ourScenarios returns those of -wsbench-run that a row of the table waits for.
func (b *bench) ourScenarios() string {
	scripts := b.names(toolOf(b.tool).scripts())
	var wanted []string
	for _, name := range split(b.wsbenchRun) {
		if slices.ContainsFunc(toolOf(b.tool).rows(), func(r row) bool {
			return slices.Contains(scripts, r.script) &&
				slices.ContainsFunc(r.ours, func(o origin) bool { return o.scenario == name })
		}) {
			wanted = append(wanted, name)
		}
	}
	return strings.Join(wanted, ",")
}

// buildWSBench returns a program: go run would leave a grandchild that outlives a kill.
func (b *bench) buildWSBench(ctx context.Context) (string, error) {
	info, err := os.Stat(b.wsbench)
	if err != nil || !info.IsDir() {
		return b.wsbench, err
	}
	program := filepath.Join(b.scratch, "wsbench")
	_, err = b.children.run(ctx, 5*time.Minute, exec.Command("go", "build", "-o", program, "./"+filepath.Clean(b.wsbench)))
	return program, err
}

// median returns the median of the first of those figures that the record has, or
// NaN. Points of a curve and figures of other servers are passed over.
func (r *record) median(of []origin) float64 {
	if r == nil {
		return math.NaN()
	}
	for _, o := range of {
		for _, f := range r.Figures {
			if f.X == nil && (f.Server == "" || f.Server == "wsify") &&
				f.Scenario == o.scenario && f.Name == o.name && f.Unit == o.unit {
				return f.Median
			}
		}
	}
	return math.NaN()
}
