//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"wsify/bench/internal/process"
)

// kernelMemory is what the kernel holds, in bytes, of what connections make grow.
type kernelMemory struct {
	Slab    int64 // sockets, files, epoll entries: proc_meminfo(5)
	Tables  int64 // page tables
	Sockets int64 // TCP buffers: mem of /proc/net/sockstat, in pages
}

func (k kernelMemory) total() int64 { return k.Slab + k.Tables + k.Sockets }

func readKernelMemory() (kernelMemory, error) {
	var k kernelMemory
	if err := process.ReadSizes("/proc/meminfo", map[string]*int64{"Slab": &k.Slab, "PageTables": &k.Tables}); err != nil {
		return k, err
	}
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return k, err
	}
	pages, err := parseSockstat(stat)
	k.Sockets = pages * int64(os.Getpagesize())
	return k, err
}

// parseSockstat returns the last number of a line such as
// "TCP: inuse 4 orphan 0 tw 0 alloc 6 mem 1".
func parseSockstat(text []byte) (pages int64, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && fields[0] == "TCP:" && fields[len(fields)-2] == "mem" {
			return strconv.ParseInt(fields[len(fields)-1], 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/net/sockstat has no line of TCP with its memory")
}
