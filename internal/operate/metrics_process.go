package operate

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// processCollector exposes the metrics of client_golang's own collector by the same names, except
// for a costly one: before Linux 6.2 that collector lists all descriptors to count them, and a
// million connections are a million names at each scrape.
type processCollector struct{ metrics []processMetric }

// processMetric is one of its metrics. read returns false when it is not available.
type processMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(stat procfs.ProcStat) (value float64, ok bool)
}

func newProcessCollector() *processCollector {
	one := func(kind prometheus.ValueType, name, help string, read func(stat procfs.ProcStat) (float64, bool)) processMetric {
		return processMetric{prometheus.NewDesc("process_"+name, help, nil, nil), kind, read}
	}
	return &processCollector{[]processMetric{
		one(prometheus.CounterValue, "cpu_seconds_total", "Total user and system CPU time spent in seconds.",
			func(stat procfs.ProcStat) (float64, bool) { return stat.CPUTime(), true }),
		one(prometheus.GaugeValue, "resident_memory_bytes", "Resident memory size in bytes.",
			func(stat procfs.ProcStat) (float64, bool) { return float64(stat.ResidentMemory()), true }),
		one(prometheus.GaugeValue, "virtual_memory_bytes", "Virtual memory size in bytes.",
			func(stat procfs.ProcStat) (float64, bool) { return float64(stat.VirtualMemory()), true }),
		one(prometheus.GaugeValue, "start_time_seconds", "Start time of the process since unix epoch in seconds.",
			func(stat procfs.ProcStat) (float64, bool) { at, err := stat.StartTime(); return at, err == nil }),
		one(prometheus.GaugeValue, "open_fds", "Number of open file descriptors; since Linux 6.2.",
			func(procfs.ProcStat) (float64, bool) { return openDescriptors() }),
		one(prometheus.GaugeValue, "max_fds", "Maximum number of open file descriptors.",
			func(procfs.ProcStat) (float64, bool) { return maxDescriptors() }),
	}}
}

// openDescriptors returns the size of the directory, which is 0 before Linux 6.2; proc(5).
func openDescriptors() (float64, bool) {
	info, err := os.Stat("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	return float64(info.Size()), info.Size() > 0
}

func maxDescriptors() (float64, bool) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return float64(limit.Cur), err == nil
}

// Describe implements prometheus.Collector.
func (c *processCollector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector. It omits metrics that are not available, because reading
// about the process needs a descriptor for a moment.
func (c *processCollector) Collect(to chan<- prometheus.Metric) {
	p, err := procfs.Self()
	if err != nil {
		return
	}
	stat, err := p.Stat()
	if err != nil {
		return
	}
	for _, m := range c.metrics {
		if v, ok := m.read(stat); ok {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, v)
		}
	}
}
