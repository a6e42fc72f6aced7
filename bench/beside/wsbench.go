//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
type record struct{ Figures []recorded }

type recorded struct {
	Scenario string
	Server   string
	Name     string
	Unit     string
	X        *float64
	Median   float64
}

// runWSBench runs our own generator on the same server with the same load, each
// scenario by itself, so that one it does not have costs no others. What it could
// not do is not in the record.
func (b *bench) runWSBench(ctx context.Context) (*record, error) {
	all := new(record)
	if b.wsbench == "none" {
		return all, nil
	}
	program, err := b.buildWSBench(ctx)
	if err != nil {
		return all, fmt.Errorf("wsbench: %w", err)
	}
	load := b.ourLoad(ctx, program)
	var errs []error
	for _, scenario := range b.ourScenarios() {
		r, err := b.runScenario(ctx, program, scenario, load)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == exitUsage {
			fmt.Fprintf(b.stderr, "wsbench has no %s, or not with these flags\n", scenario)
		} else if err != nil {
			errs = append(errs, fmt.Errorf("wsbench: %s: %w", scenario, err))
		}
		all.Figures = append(all.Figures, r.Figures...)
	}
	return all, errors.Join(errs...)
}

func (b *bench) runScenario(ctx context.Context, program, scenario string, load []string) (r record, err error) {
	file := filepath.Join(b.scratch, "wsbench-"+scenario+".json")
	args := append([]string{"-run", scenario, "-json", file}, load...)
	fmt.Fprintf(b.stderr, "wsbench %s\n", strings.Join(args, " "))
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = b.stderr, b.stderr
	if _, err = b.children.Run(ctx, b.timeout, cmd); err != nil {
		return r, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// ourLoad returns the flags that give wsbench the load of the scripts. Those it does
// not have are left out.
func (b *bench) ourLoad(ctx context.Context, program string) []string {
	each := b.rate * float64(b.connections)
	deliveries := 2 * each // of two publishers; fanoutRate makes it the same for tcpkali
	help, _ := exec.CommandContext(ctx, program, "-help").CombinedOutput()
	load := []string{"-server", b.server, "-server-args", b.serverArgs}
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"connections", float64(b.connections)},
		{"echo-connections", float64(b.connections)},
		{"content", float64(b.size)},
		{"delivery-rate", deliveries},
		{"trip-rate", each},
	} {
		if bytes.Contains(help, []byte("\n  -"+f.name+" ")) {
			load = append(load, "-"+f.name, strconv.FormatFloat(f.value, 'f', -1, 64))
		}
	}
	return append(load, strings.Fields(b.wsbenchArgs)...)
}

// ourScenarios returns those of -wsbench-run that a row of the table waits for.
func (b *bench) ourScenarios() (wanted []string) {
	scripts := b.names(toolOf(b.tool).scripts())
	for _, name := range split(b.wsbenchRun) {
		if slices.ContainsFunc(toolOf(b.tool).rows(b.connections), func(r row) bool {
			return slices.Contains(scripts, r.script) &&
				slices.ContainsFunc(r.ours, func(o origin) bool { return o.scenario == name })
		}) {
			wanted = append(wanted, name)
		}
	}
	return wanted
}

// buildWSBench returns a program: go run would leave a grandchild that outlives a kill.
func (b *bench) buildWSBench(ctx context.Context) (string, error) {
	info, err := os.Stat(b.wsbench)
	if err != nil || !info.IsDir() {
		return b.wsbench, err
	}
	program := filepath.Join(b.scratch, "wsbench")
	_, err = b.children.Run(ctx, 5*time.Minute, exec.Command("go", "build", "-o", program, "./"+filepath.Clean(b.wsbench)))
	return program, err
}

// oursTrips is a figure of the round trips of as many connections.
func oursTrips(figure string, connections int, unit string) []origin {
	of := fmt.Sprintf("%d connections", connections)
	if connections == 1 {
		of = "1 connection"
	}
	return []origin{{"echo", figure + ", " + of, unit}}
}

// oursStorm is a figure of a storm, which is a scenario or a part of connect.
func oursStorm(name, unit string) []origin {
	name = "storm, without authorizer: " + name
	return []origin{{"storm", name, unit}, {"connect", name, unit}}
}

// median returns the median of the first of those figures that the record has, or
// NaN. Points of a curve and figures of other servers are passed over.
func (r *record) median(of []origin) float64 {
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
