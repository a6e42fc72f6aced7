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

// collections is what each collection of garbage cost a Go server, by its number.
type collections map[int]collection

// collection is for how long all stood still, and the CPU of the rest, of which what
// runs on idle processors is a part; in milliseconds. share is what all collections
// until then took of the CPU there is, in percent.
type collection struct{ stop, cpu, share float64 }

// A line that GODEBUG=gctrace=1 makes the runtime write, such as
// "gc 7 @1.2s 0%: 0.05+1.1+0.02 ms clock, 0.1+0.3/1.0/0.2+0.04 ms cpu, ...". All stands
// still in the first and the third part.
var collectionLine = regexp.MustCompile(`(?m)^gc (\d+) @\S+ ([\d.]+)%: ([\d.]+)\+[\d.]+\+([\d.]+) ms clock, [\d.]+\+([\d.]+)/([\d.]+)/([\d.]+)\+`)

// read adds the collections that a server's log tells of.
func (c collections) read(log string) {
	for _, found := range collectionLine.FindAllStringSubmatch(log, -1) {
		number, err := strconv.Atoi(found[1])
		var n [6]float64
		for i := range n {
			n[i], _ = strconv.ParseFloat(found[i+2], 64)
		}
		if err != nil {
			continue
		}
		c[number] = collection{share: n[0], stop: max(n[1], n[2]), cpu: n[3] + n[4] + n[5]}
	}
}

// last is the latest one.
func (c collections) last() collection {
	number := 0
	for n := range c {
		number = max(number, n)
	}
	return c[number]
}

func (c collections) longest() float64 {
	var most float64
	for _, one := range c {
		most = max(most, one.stop)
	}
	return most
}

// addCollections records what the collections of the whole run cost.
func (t *throng) addCollections() {
	t.gc.read(t.server.Said())
	t.record.add(t.server.name, "garbage collection: longest stop", "ms", "", t.gc.longest())
	t.record.detail(t.server.name, "garbage collection: cycles", "cycles", float64(len(t.gc)))
	t.record.detail(t.server.name, "garbage collection: share of all CPU", "%", t.gc.last().share)
}
