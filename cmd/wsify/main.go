//go:build linux

package main

import (
	"os"
	"os/signal"
	"syscall"

	"wsify/internal/logs"
	"wsify/internal/server"
)

func main() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1) // until serveLogged handles them: they must not end a program that is still starting
	signal.Ignore(syscall.SIGPIPE)                 // otherwise Go ends a program that writes to stdout or stderr when the reader is gone
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, logs.Stderr(), server.Run))
}
