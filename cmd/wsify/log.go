//go:build linux

package main

import (
	"io"
	"log/slog"
	"time"

	"wsify/internal/logs"
)

const (
	logJSON = "json"
	logText = "text"
)

// The longest time that the program waits at its end for the log to be written, because the reader
// of the log may have stopped.
const (
	flushTimeout      = time.Second
	secondSignalFlush = 100 * time.Millisecond
)

// startLog returns a writer of log lines to w. Lines that it drops are reported in the
// format of the log.
func (c *commandLine) startLog(w io.Writer) *logs.Writer {
	return logs.NewWriter(w, func(to io.Writer, dropped uint64) {
		newLogger(to, &c.level, c.logFormat).Error("lines of the log were dropped: stderr was not read fast enough, or could not be written to", "dropped", dropped)
	})
}

// newLogger returns a logger that writes a line for each record of this level or
// above, with the keys time, level and msg.
func newLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == logText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
