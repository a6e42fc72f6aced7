//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// kernelMemory is what the kernel holds for all processes, in bytes by the names of
// /proc/meminfo; and the number of TCP sockets.
type kernelMemory map[string]int64

// kernelParts are the parts of meminfo that connections have a share in.
var kernelParts = []string{"Slab", "SUnreclaim", "SReclaimable", "PageTables", "KernelStack", "VmallocUsed", "Percpu", socketBuffers}

// free is the part of meminfo that is nobody's.
const free = "MemFree"

// Names of what /proc/net/sockstat tells of TCP.
const (
	socketBuffers = "socket buffers"
	socketsInUse  = "sockets in use"
)

// total is the memory of sockets, files, tables of descriptors and of pages. The
// two parts of Slab are in it, and so are buffers, but for those of whole pages.
func (k kernelMemory) total() int64 {
	return k["Slab"] + k["PageTables"] + k["KernelStack"] + k["VmallocUsed"] + k["Percpu"]
}

func readKernelMemory() (kernelMemory, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	sockets, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return nil, err
	}
	k := make(kernelMemory)
	for _, part := range append([]string{free}, kernelParts...) {
		var bytes int64
		parseSizes(text, map[string]*int64{part: &bytes})
		k[part] = bytes
	}
	return k, k.parseSockets(sockets)
}

// parseSockets reads "TCP: inuse 5 orphan 0 tw 3 alloc 7 mem 2", mem in pages; see
// proc(5).
func (k kernelMemory) parseSockets(text []byte) error {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 11 || fields[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(fields); i += 2 {
			n, err := strconv.ParseInt(fields[i+1], 10, 64)
			if err != nil {
				return fmt.Errorf("/proc/net/sockstat: %w", err)
			}
			switch fields[i] {
			case "inuse":
				k[socketsInUse] = n
			case "mem":
				k[socketBuffers] = n * int64(os.Getpagesize())
			}
		}
		return nil
	}
	return fmt.Errorf("/proc/net/sockstat has no line of TCP")
}

// collections is how long the world stood still for each collection of a Go
// server, in milliseconds, by its number.
type collections map[int]float64

// A line that GODEBUG=gctrace=1 makes the runtime write, such as
// "gc 7 @1.2s 0%: 0.05+1.1+0.02 ms clock, ...": the world stands still in the
// first and the third part.
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
