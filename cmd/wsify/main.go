//go:build linux

package main

import (
	"os"

	"wsify/internal/server"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr, server.Run))
}
