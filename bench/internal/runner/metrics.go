package runner

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/scenario"
)

// fromMetrics reads the CPU time of a server from its own metrics, in steps of 10 ms.
func (r *Runner) fromMetrics() (time.Duration, error) {
	if r.Metrics == "" {
		return 0, scenario.ErrNoUsage
	}
	all, err := ReadMetrics(r.Metrics)
	return time.Duration(all["process_cpu_seconds_total"] * 1e9), err
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

// Grown returns what counters of the server itself have grown by, as notes: its messages, drops and closes.
func Grown(before, after map[string]float64) (lines []string) {
	for name, v := range after {
		if grown := v - before[name]; grown > 0 && strings.HasPrefix(name, "wsify_") && strings.Contains(name, "_total") {
			lines = append(lines, fmt.Sprintf("%s +%s", name, strconv.FormatFloat(grown, 'f', -1, 64)))
		}
	}
	return lines
}
