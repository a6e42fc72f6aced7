//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wsify/internal/testtool"
)

// program is the path of the real program, built once for all tests.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "wsify")
	if err == nil {
		program = filepath.Join(dir, "wsify")
		build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-X main.version=1.2.3", "-o", program, ".")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the program could not be built:", err)
		os.Exit(1)
	}
	code := testtool.Run(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
