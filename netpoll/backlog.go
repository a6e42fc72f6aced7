package netpoll

import (
	"os"
	"strconv"
	"strings"
)

// Backlog returns how many peers may wait to be accepted on one listening socket:
// net.core.somaxconn, which package net asks for. It returns 0 when the value cannot
// be read.
func Backlog() int {
	text, _ := os.ReadFile("/proc/sys/net/core/somaxconn")
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
