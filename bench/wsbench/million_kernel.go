//go:build linux

package main

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"wsify/bench/internal/process"
)

// kernelParts are the lines of /proc/meminfo that tell where memory went.
var kernelParts = []string{"Slab", "SUnreclaim", "SReclaimable", "PageTables", "KernelStack", "VmallocUsed", "Percpu"}

// free is the line for memory that is nobody's.
const free = "MemFree"

// readParts returns those lines, in bytes by name.
func readParts() (map[string]int64, error) {
	want, parts := make(map[string]*int64), make(map[string]int64)
	for _, name := range append([]string{free}, kernelParts...) {
		want[name] = new(int64)
	}
	if err := process.ReadSizes("/proc/meminfo", want); err != nil {
		return nil, err
	}
	for name, bytes := range want {
		parts[name] = *bytes
	}
	return parts, nil
}

// readResent returns how many TCP segments this machine has sent again since it
// started: RetransSegs of /proc/net/snmp. Over the loopback none should be lost.
func readResent() (int64, error) {
	text, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0, err
	}
	return parseResent(string(text))
}

// parseResent finds the value in a line of names that a line of numbers follows.
func parseResent(text string) (int64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Tcp:" {
			continue
		}
		if i := slices.Index(names, "RetransSegs"); i >= 0 && i < len(fields) {
			return strconv.ParseInt(fields[i], 10, 64)
		}
		names = fields
	}
	return 0, errors.New("/proc/net/snmp has no RetransSegs of TCP")
}

// collections is for how long a Go server stood still in each collection of
// garbage, in milliseconds, by its number.
type collections map[int]float64

// A line that GODEBUG=gctrace=1 makes the runtime write, such as
// "gc 7 @1.2s 0%: 0.05+1.1+0.02 ms clock, ...". All stands still in the first and
// the third part.
var collectionLine = regexp.MustCompile(`(?m)^gc (\d+) @[^:]*: ([\d.]+)\+[\d.]+\+([\d.]+) ms clock`)

// read adds the collections that a server's log tells of.
func (c collections) read(log string) {
	for _, found := range collectionLine.FindAllStringSubmatch(log, -1) {
		number, err1 := strconv.Atoi(found[1])
		first, err2 := strconv.ParseFloat(found[2], 64)
		third, err3 := strconv.ParseFloat(found[3], 64)
		if err1 == nil && err2 == nil && err3 == nil {
			c[number] = max(first, third)
		}
	}
}

func (c collections) longest() float64 {
	var most float64
	for _, ms := range c {
		most = max(most, ms)
	}
	return most
}
