//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var errNoTCPKali = errors.New("there is no tcpkali on the PATH: it is not in Debian 12; get the source from " +
	"github.com/machinezone/tcpkali and build it with autoreconf -iv && ./configure && make, or take it from Homebrew, MacPorts, FreeBSD or nix")

// tcpkali runs the scripts in bench/tcpkali.
type tcpkali struct{}

func findTCPKali() (*tcpkali, error) {
	if _, err := exec.LookPath("tcpkali"); err != nil {
		return nil, errNoTCPKali
	}
	return &tcpkali{}, nil
}

func (*tcpkali) name() string      { return "tcpkali" }
func (*tcpkali) scripts() []string { return []string{"connect", "echo", "fanout", "idle"} }

// kaliLifetime is how long a connection of connect.sh lives.
const kaliLifetime = time.Second

func (t *tcpkali) run(ctx context.Context, b *bench, script string, s *server) (result, error) {
	path, err := filepath.Abs(filepath.Join("bench/tcpkali", script+".sh"))
	if err != nil {
		return result{}, err
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), b.kaliLoad(script, s.addr)...)
	var out bytes.Buffer
	cmd.Stdout = io.MultiWriter(b.stdout, &out)
	cmd.Stderr = b.stderr
	cpu, err := b.children.Run(ctx, 2*b.duration+time.Minute, cmd) // ramp-up may take as long as the test
	if err != nil {
		return result{}, err
	}
	figures, err := parseKali(out.String())
	if err != nil {
		return result{}, err
	}
	b.countKali(script, s.headSize, figures)
	return result{figures: figures, toolCPU: cpu}, nil
}

// kaliLoad is the load as the scripts' variables.
func (b *bench) kaliLoad(script, addr string) []string {
	rate := b.rate
	if script == "fanout" {
		rate = b.fanoutRate()
	}
	// A tenth of the duration to connect, beyond which tcpkali warns. For connect.sh more
	// than it needs to have all connections at once before the first ends.
	connectRate := max(float64(b.connections)/(b.duration.Seconds()/10), 2*float64(b.connections)/kaliLifetime.Seconds())
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return []string{
		"ADDR=" + addr,
		"CONNECTIONS=" + strconv.Itoa(b.connections),
		"CONNECT_RATE=" + number(connectRate),
		"LIFETIME=" + number(kaliLifetime.Seconds()) + "s",
		"SIZE=" + strconv.Itoa(b.size),
		"RATE=" + number(rate),
		"DURATION=" + number(b.duration.Seconds()) + "s",
	}
}

// fanoutRate is what each of all connections publishes a second in fanout.sh, so
// that two publishers' worth of -rate arrive at each.
func (b *bench) fanoutRate() float64 { return 2 * b.rate / float64(b.connections) }

// kaliLine is a line of its report with one figure in the middle.
var (
	kaliReceived = regexp.MustCompile(`(?m)^Total data received: .*\((\d+) bytes\)$`)
	kaliDuration = regexp.MustCompile(`(?m)^Test duration: ([0-9.e+]+) s\.$`)
	kaliLatency  = regexp.MustCompile(`(?m)^(TCP connect|First byte|Message) latency at percentiles: ([0-9./]+) ms \(([0-9./]+)%\)$`)
)

// parseKali reads what tcpkali prints when it ends.
func parseKali(out string) (map[string]float64, error) {
	figures := make(map[string]float64)
	for name, re := range map[string]*regexp.Regexp{"received [B]": kaliReceived, "duration [s]": kaliDuration} {
		m := re.FindStringSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("tcpkali's report has no line like %s", re)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return nil, err
		}
		figures[name] = v
	}
	for _, m := range kaliLatency.FindAllStringSubmatch(out, -1) {
		values, percentiles := strings.Split(m[2], "/"), strings.Split(m[3], "/")
		if len(values) != len(percentiles) {
			return nil, fmt.Errorf("tcpkali's report: %q", m[0])
		}
		for i, p := range percentiles {
			v, err := strconv.ParseFloat(values[i], 64)
			if err != nil {
				return nil, err
			}
			figures[m[1]+" p"+p+" [ms]"] = v
		}
	}
	return figures, nil
}

// countKali adds what tcpkali does not count itself: it knows bytes, and here all of
// those that a connection receives are of one kind and size.
func (b *bench) countKali(script string, headSize int, figures map[string]float64) {
	per := func(name string, size int) {
		count := figures["received [B]"] / float64(size)
		figures[name+" [total]"] = count
		figures[name+" [1/s]"] = count / figures["duration [s]"]
	}
	switch script {
	case "connect":
		per("handshakes", headSize)
	case "echo", "fanout":
		per("deliveries", frameSize(b.size))
	}
	figures["connections [total]"] = float64(b.connections)
}

// frameSize is the size of a server's frame: RFC 6455, section 5.2.
func frameSize(payload int) int {
	switch {
	case payload < 126:
		return 2 + payload
	case payload < 1<<16:
		return 4 + payload
	}
	return 10 + payload
}

func (*tcpkali) rows(connections int) []row {
	rows := []row{
		{"connect", "handshakes", "1/s", figure("handshakes [1/s]", 1), oursHandshakeRate},
		{"connect", "connect to first byte p50", "us", figure("First byte p50 [ms]", 1000), nil},
		{"connect", "connect to first byte p99", "us", figure("First byte p99 [ms]", 1000), nil},
		{"connect", "server CPU per handshake", "us", serverCPUPer("handshakes [total]"), oursHandshakeCPU},
		{"echo", "round trips", "1/s", figure("deliveries [1/s]", 1), oursTrips("rate", connections, "round trips/s")},
	}
	for _, p := range []struct{ theirs, ours string }{{"50", "p50"}, {"99", "p99"}, {"99.9", "p99.9"}, {"100", "max"}} {
		rows = append(rows, row{"echo", "round trip " + p.ours, "us", figure("Message p"+p.theirs+" [ms]", 1000),
			[]origin{{"echo", "paced: " + p.ours, "us"}}})
	}
	return append(rows,
		row{"echo", "server CPU per round trip", "us", serverCPUPer("deliveries [total]"), oursTrips("CPU", connections, "CPU us per round trip")},
		row{"fanout", "deliveries", "1/s", figure("deliveries [1/s]", 1), []origin{{"fanout", "rate, window 1", "deliveries/s"}}},
		row{"fanout", "server CPU per delivery", "us", serverCPUPer("deliveries [total]"), oursDeliveryCPU},
		row{"fanout", "CPU of tcpkali per delivery", "us", toolCPUPer("deliveries [total]"), nil},
		row{"idle", "RSS per connection, over a fresh server", "B", memoryPerConnection, []origin{
			{"idle", "RSS per connection, one channel for all, over a fresh server", "B"},
		}})
}

// memoryPerConnection counts what the first connections make the server allocate, as
// wsbench does over a fresh server. Over one that had some before it is less.
func memoryPerConnection(r result) float64 {
	return float64(r.serverMemory) / r.figures["connections [total]"]
}

func (*tcpkali) notes(results map[string]result) []string {
	notes := []string{
		"tcpkali counts bytes from the moment all are connected; deliveries and handshakes are those bytes over the size of one, and none is checked.",
		"its latencies are in steps of 100 us, from the actual send and not from when it was due.",
	}
	if _, ok := results["idle"]; ok {
		notes = append(notes, "idle: under tcpkali it is the most that the server had, in wsbench what it has at rest.")
	}
	for _, script := range []string{"echo", "fanout"} {
		if r, ok := results[script]; ok {
			notes = append(notes, fmt.Sprintf("%s: tcpkali itself used %.2f s of CPU, the server %.2f s.", script, r.toolCPU.Seconds(), r.serverCPU.Seconds()))
		}
	}
	return notes
}
