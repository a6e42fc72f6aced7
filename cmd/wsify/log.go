//go:build linux

package main

import (
	"io"
	"log/slog"
)

const (
	logJSON = "json"
	logText = "text"
)

// newLogger returns a logger that writes a line for each record of this level or
// above, with the keys time, level and msg.
func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == logText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
