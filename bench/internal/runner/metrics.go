//go:build linux

package runner

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/scenario"
)

// fromMetrics reads what a server uses from its own metrics, in steps of 10 ms.
func (r *Runner) fromMetrics() (u scenario.Usage, err error) {
	if r.Metrics == "" {
		return u, scenario.ErrNoUsage
	}
	all, err := ReadMetrics(r.Metrics)
	cpu := time.Duration(all["process_cpu_seconds_total"] * 1e9)
	return scenario.Usage{CPU: process.Time{Total: cpu}, Memory: int64(all["process_resident_memory_bytes"])}, err
}

// ReadMetrics reads metrics in the text format of Prometheus.
func ReadMetrics(url string) (map[string]float64, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	all := map[string]float64{}
	in := bufio.NewScanner(answer.Body)
	for in.Scan() {
		line := in.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			all[line[:at]] = v
		}
	}
	return all, in.Err()
}

// Grown returns what counters of the server itself have grown by, as notes: its messages,
// drops and closes.
func Grown(before, after map[string]float64) (lines []string) {
	for name, v := range after {
		if grown := v - before[name]; grown > 0 && strings.HasPrefix(name, "wsify_") && strings.Contains(name, "_total") {
			lines = append(lines, fmt.Sprintf("%s +%s", name, strconv.FormatFloat(grown, 'f', -1, 64)))
		}
	}
	return lines
}
