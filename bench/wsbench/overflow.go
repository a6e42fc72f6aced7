//go:build linux

package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// listenOverflows is how often an accept queue of this machine was full so far, by
// /proc/net/netstat; 0 when that cannot be told.
func listenOverflows() int64 {
	text, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return 0
	}
	return parseOverflows(text)
}

// parseOverflows reads ListenOverflows from two lines of names and values.
func parseOverflows(text []byte) int64 {
	var names []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "ListenOverflows" && i < len(fields) {
				n, _ := strconv.ParseInt(fields[i], 10, 64)
				return n
			}
		}
	}
	return 0
}
