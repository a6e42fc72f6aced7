package runner

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"slices"
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
	seconds, ok := all["process_cpu_seconds_total"]
	if err == nil && !ok {
		err = scenario.ErrNoUsage
	}
	return time.Duration(seconds * 1e9), err
}

// metric is a line with a name, labels, and a value.
var metric = regexp.MustCompile(`^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)`)

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
		if m := metric.FindStringSubmatch(in.Text()); m != nil {
			if v, err := strconv.ParseFloat(m[2], 64); err == nil {
				all[m[1]] = v
			}
		}
	}
	if len(all) == 0 && in.Err() == nil {
		return nil, fmt.Errorf("GET %s: there are no metrics in the answer", url)
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
	slices.Sort(lines)
	return lines
}
