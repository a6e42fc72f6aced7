//go:build linux

package main

import (
	"context"
	"io"
	"os"

	"wsify/internal/doctor"
)

// doctor says what this machine can hold with this configuration, which is valid, and what to
// change. A problem is exit code 1.
func (c *commandLine) doctor(env map[string]string, stdout, stderr io.Writer) int {
	report := doctor.Examine(doctor.Read(context.Background(), c.server, os.DirFS("/")), int64(c.connections))
	code := answer(stdout, stderr, func(w io.Writer) {
		if c.asJSON {
			report.WriteJSON(w)
		} else {
			report.WriteText(w, env["NO_COLOR"] == "" && env["TERM"] != "dumb" && isTerminal(stdout))
		}
	})
	if code == exitOK && report.Status() == doctor.Problem {
		return exitFailure
	}
	return code
}

// isTerminal reports whether w is a character device, as a terminal is.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
