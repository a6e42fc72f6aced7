//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "wsify needs Linux (epoll); this program was built for %s. "+
		"Build it with GOOS=linux, or run it in a Linux container.\n", runtime.GOOS)
	os.Exit(1)
}
